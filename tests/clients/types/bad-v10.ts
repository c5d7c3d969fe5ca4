// Every line that says `bad` must fail, and no other.

import { createTRPCProxyClient, createWSClient, wsLink } from '@trpc/client';

import type { AppRouter } from './hub.js';

const client = createWSClient({ url: 'ws://localhost:3001' });
const trpc = createTRPCProxyClient<AppRouter>({ links: [wsLink({ client })] });

await trpc.hub.health.query('input'); // bad: it takes none
await trpc.hub.health.mutate(); // bad: it is a query
await trpc.hub.nothing.query(); // bad: there is none
await trpc.state.get.query({}); // bad: a key is required
await trpc.events.publish.mutate({ topic: 'no.such', payload: {} }); // bad: nobody declares it
trpc.stream.onTaskProgress.subscribe({}, {}); // bad: a taskId is required
trpc.stream.onTaskProgress.subscribe({ taskId: 't' }, { onData: (event) => event.prgress }); // bad: misspelt
trpc.tracked.onTaskProgress.subscribe({ taskId: 't' }, { onData: (event) => event.phase }); // bad: it is in data
