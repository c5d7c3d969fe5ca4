// Version 10 of tRPC: the same calls, by its own client.

import { createTRPCProxyClient, createWSClient, wsLink } from '@trpc/client';
import type { inferRouterInputs, inferRouterOutputs } from '@trpc/server';

import type { AppRouter, HubEvent, TaskProgressEvent, Tracked } from './hub.js';
import { same } from './same.js';

const client = createWSClient({ url: 'ws://localhost:3001' });
const trpc = createTRPCProxyClient<AppRouter>({ links: [wsLink({ client })] });

type In = inferRouterInputs<AppRouter>;
type Out = inferRouterOutputs<AppRouter>;
same<Out['hub']['health']['status'], 'ok' | 'degraded' | 'draining'>();
same<In['state']['get'], { key: string }>();

console.log((await trpc.hub.health.query()).uptime.toFixed());
const kept = await trpc.events.publish.mutate({
  topic: 'task.progress',
  payload: { taskId: 't', phase: 'impl', progress: 40, message: 'compiling' },
});
same<typeof kept, { id: string; timestamp: string }>();
const show = (event: HubEvent): string => (event.topic === 'agent.output' ? event.payload.content : event.topic);
for (const event of (await trpc.events.history.query({ topics: ['**'] })).events) show(event);
trpc.stream.onTaskProgress.subscribe(
  { taskId: 't', replay: 'last' },
  { onData: (event) => same<typeof event, TaskProgressEvent>() },
);
trpc.tracked.onTaskProgress.subscribe(
  { taskId: 't' },
  { onData: (event) => same<typeof event, Tracked<TaskProgressEvent>>() },
);
trpc.stream.onSystemEvent.subscribe(undefined, { onData: (event) => void event.payload });
trpc.stream.onEvent.subscribe({ topics: ['**'] }, { onData: show });
