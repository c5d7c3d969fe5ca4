// What a task does, in a terminal: npm run watch -- TASK [URL]. Exits with 0 if it completed, with 1 if it failed.

import { createTRPCClient, createWSClient, wsLink } from '@trpc/client';
import { WebSocket } from 'ws';
import type { AppRouter } from './adohub.js';

const [taskId = 'task-123', url = 'ws://localhost:3001'] = process.argv.slice(2);

globalThis.WebSocket ??= WebSocket as never; // Node 20 has none of its own
const socket = createWSClient({ url });
const trpc = createTRPCClient<AppRouter>({ links: [wsLink({ client: socket })] });

const bar = (percent: number) => '█'.repeat(Math.round(percent / 5)).padEnd(20, '░');

// Each of the three subscriptions completes with the task: after the last one there is nothing more to come.
let open = 3;
const showing = <T>(onData: (event: T) => void) => ({
  onData,
  onError: (error: Error) => { console.error(error.message); process.exit(2); },
  onComplete: () => { if (--open === 0) socket.close(); },
});

trpc.stream.onTaskProgress.subscribe({ taskId }, showing(({ phase, progress, message }) => {
  console.log(`${bar(progress)} ${progress}% ${phase}: ${message}`);
}));
trpc.stream.onAgentOutput.subscribe({ taskId, replay: 'all' }, showing(({ type, content }) => {
  (type === 'stderr' ? process.stderr : process.stdout).write(content);
}));
trpc.stream.onTaskCompleted.subscribe({ taskId }, showing(({ status, duration }) => {
  console.log(`${status} after ${duration / 1000} s`);
  process.exitCode = status === 'completed' ? 0 : 1;
}));
