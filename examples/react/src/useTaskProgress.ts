import { useState } from 'react';
import { useSubscription } from '@trpc/tanstack-react-query';
import type { TaskCompletedEvent, TaskProgressEvent } from './adohub';
import { useTRPC } from './trpc';

/**
 * Where a task stands: its latest progress, and how it ended once it has. `status` is "connecting" while the hub is
 * away; nothing is lost by that. Give the component that calls this the task's id as its `key`.
 */
export const useTaskProgress = (taskId: string) => {
  const trpc = useTRPC();
  const [progress, onProgress] = useState<TaskProgressEvent>();
  const [completed, onCompleted] = useState<TaskCompletedEvent>();
  const { status, error } = useSubscription(
    trpc.stream.onTaskProgress.subscriptionOptions({ taskId }, { onData: onProgress }),
  );
  useSubscription(trpc.stream.onTaskCompleted.subscriptionOptions({ taskId }, { onData: onCompleted }));
  return { progress, completed, status, error };
};
