// A hub with `allow_undeclared`: any topic may be published. Every line that says `bad` must fail, and no other.

import { createTRPCClient, createWSClient, wsLink } from '@trpc/client';

import type { AppRouter, HubEvent, UndeclaredEvent } from './hub.js';
import { same } from './same.js';

const client = createWSClient({ url: 'ws://localhost:3001' });
const trpc = createTRPCClient<AppRouter>({ links: [wsLink({ client })] });

await trpc.events.publish.mutate({ topic: 'any.topic', payload: { any: ['thing'] } });
await trpc.events.publish.mutate({ topic: 'any.topic', payload: 'text' }); // bad: it is an object
await trpc.events.publish.mutate({ topic: 'any.topic' }); // bad: a payload is required
await trpc.events.publishMany.mutate({ events: [{ topic: 'any.topic', payload: {} }] });
trpc.stream.onEvent.subscribe(
  { topics: ['**'] },
  { onData: (event) => same<typeof event, HubEvent | UndeclaredEvent>() },
);
