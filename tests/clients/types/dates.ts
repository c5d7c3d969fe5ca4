// With `transformer = "superjson"` times are dates, both ways.

import { createTRPCClient, createWSClient, httpLink, wsLink } from '@trpc/client';
import superjson from 'superjson';

import type { AppRouter, Every, EveryInput, HubEvent, TaskProgressEvent } from './hub-dates.js';
import { same } from './same.js';

const client = createWSClient({ url: 'ws://localhost:3001' });
const trpc = createTRPCClient<AppRouter>({ links: [wsLink({ client, transformer: superjson })] });
createTRPCClient<AppRouter>({ links: [httpLink({ url: 'http://localhost:3001/trpc', transformer: superjson })] });

const kept = await trpc.events.publish.mutate({
  topic: 'task.progress',
  payload: { taskId: 't', phase: 'impl', progress: 1, message: '', timestamp: new Date() },
});
console.log(kept.timestamp.getTime());

trpc.stream.onTaskProgress.subscribe(
  { taskId: 't' },
  {
    onData: (event) => {
      same<typeof event, TaskProgressEvent>();
      console.log(event.timestamp.toISOString());
    },
  },
);
trpc.tracked.onTaskProgress.subscribe({ taskId: 't' }, { onData: (event) => event.data.timestamp.getTime() });
const show = (event: HubEvent): number => event.timestamp.getTime();
for (const event of (await trpc.events.history.query({ topics: ['**'] })).events) show(event);
trpc.stream.onEvent.subscribe({ topics: ['**'] }, { onData: show });

same<Every['later']['at'], Date>();
same<EveryInput['timestamp'], Date | undefined>();
const now: Date = await trpc.every.clock.query();
console.log(now);
