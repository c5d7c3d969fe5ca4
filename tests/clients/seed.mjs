// The program adohub was begun for, as its users have it; each callback is printed as a JSON line.
//
//   node ../seed.mjs ws://localhost:3001       in a folder that holds node_modules/@trpc/client
//
// The end of stdin ends it.

import { createRequire } from 'node:module';

const require = createRequire(`${process.cwd()}/`);
const { createTRPCProxyClient, createWSClient, wsLink } = require('@trpc/client');
globalThis.WebSocket = require('ws').WebSocket; // Node 20 has none

const print = (event, value) => process.stdout.write(`${JSON.stringify({ event, value })}\n`);

const client = createWSClient({
  url: process.argv[2],
  retryDelayMs: () => 1000,
  onClose: (cause) => print('close', cause?.code),
});

const trpc = createTRPCProxyClient({ links: [wsLink({ client })] });

trpc.stream.onTaskProgress.subscribe(
  { taskId: 'task-123' },
  {
    onData: (event) => print('data', event),
    onError: (error) => print('error', { message: error.message, code: error.data?.code ?? null }),
    onComplete: () => print('complete'),
  },
);

process.stdin.resume().on('end', () => process.exit(0));
