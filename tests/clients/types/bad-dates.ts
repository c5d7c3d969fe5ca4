// Every line that says `bad` must fail, and no other.

import { createTRPCClient, createWSClient, wsLink } from '@trpc/client';
import superjson from 'superjson';

import type { AppRouter, EveryInput, HubEvent } from './hub-dates.js';

const client = createWSClient({ url: 'ws://localhost:3001' });
const trpc = createTRPCClient<AppRouter>({ links: [wsLink({ client, transformer: superjson })] });
createTRPCClient<AppRouter>({ links: [wsLink({ client })] }); // bad: the transformer is missing

const progress = { taskId: 't', phase: 'impl', progress: 1, message: '' } as const;
await trpc.events.publish.mutate({ topic: 'task.progress', payload: { ...progress, timestamp: 'now' } }); // bad: it is a date
(await trpc.events.publish.mutate({ topic: 'task.progress', payload: progress })).timestamp.slice(0); // bad: it is a date
trpc.stream.onTaskProgress.subscribe({ taskId: 't' }, { onData: (event) => event.timestamp.slice(0) }); // bad: it is a date
export const when = (event: HubEvent): string => event.timestamp; // bad: it is a date
export const later: EveryInput['later'] = { at: '2026-01-01T00:00:00Z' }; // bad: it is a date
(await trpc.every.clock.query()).slice(0); // bad: it is a date
