// Every line that says `bad` must fail, and no other.

import { createTRPCClient, createWSClient, httpLink, wsLink } from '@trpc/client';
import type { inferRouterInputs, inferRouterOutputs } from '@trpc/server';
import superjson from 'superjson';

import type { AppRouter, EventInputs, Events, HubEvent, PublishRequest, TaskProgressEvent } from './hub.js';
import type { AppRouter as EveryRouter, Every, EveryInput } from './hub-every.js';
import { same } from './same.js';

const client = createWSClient({ url: 'ws://localhost:3001' });
const trpc = createTRPCClient<AppRouter>({ links: [wsLink({ client })] });
createTRPCClient<AppRouter>({ links: [wsLink({ client, transformer: superjson })] }); // bad: there is no transformer
const every = createTRPCClient<EveryRouter>({ links: [httpLink({ url: 'http://localhost:3001/trpc' })] });

// ── calls ──

await trpc.hub.health.query('input'); // bad: it takes none
await trpc.hub.health.mutate(); // bad: it is a query
trpc.hub.health.subscribe(undefined, {}); // bad: it is a query
await trpc.hub.nothing.query(); // bad: there is no such procedure
await trpc.nothing.health.query(); // bad: there is no such namespace
(await trpc.hub.health.query()).status === 'fine'; // bad: it is never said
(await trpc.hub.info.query()).schemahash; // bad: misspelt
await trpc.state.get.query(); // bad: input is required
await trpc.state.get.query({}); // bad: a key is required
await trpc.state.get.query({ key: 3 }); // bad: a key is text
await trpc.state.get.query({ key: 'k', default: 1 }); // bad: no such field
(await trpc.state.get.query({ key: 'k' })).value; // bad: it may be null
(await trpc.state.get.query({ key: 'k' }))?.value.nested; // bad: nobody knows what it is
await trpc.state.set.mutate({ key: 'k', value: 1, ifRevision: '0' }); // bad: a revision is a number
await trpc.state.set.query({ key: 'k', value: 1 }); // bad: it is a mutation
(await trpc.events.history.query({ topics: ['**'] })).next.length; // bad: it is null at the end
await trpc.events.history.query({ topics: 'task.*' }); // bad: patterns are a list
await trpc.events.history.query({ topics: ['**'], limit: null }); // bad: it may be left out, but not be null

// ── publishing ──

await trpc.events.publish.mutate({ topic: 'no.such', payload: {} }); // bad: nobody declares it
await trpc.events.publish.mutate({ topic: 'state.changed', payload: { op: 'set', key: '', value: 1 } }); // bad: it is state
await trpc.events.publish.mutate({ topic: 'task.progress' }); // bad: a payload is required
await trpc.events.publish.mutate({ topic: 'task.progress', payload: { taskId: 't' } }); // bad: more is required
const progress = { taskId: 't', phase: 'impl', progress: 1, message: '' } as const;
await trpc.events.publish.mutate({ topic: 'task.progress', payload: { ...progress, phase: 'deploy' } }); // bad: no such phase
await trpc.events.publish.mutate({ topic: 'task.progress', payload: { ...progress, progress: '1' } }); // bad: it is a number
await trpc.events.publish.mutate({ topic: 'task.progress', payload: { ...progress, timestamp: new Date() } }); // bad: it is text
await trpc.events.publish.mutate({ topic: 'task.completed', payload: progress }); // bad: of another topic
await trpc.events.publish.mutate({ topic: 'agent.output', payload: progress }); // bad: of another topic
await trpc.events.publish.mutate({ topic: 'task.progress', payload: progress, idempotencyKey: 1 }); // bad: it is text
await trpc.events.publishMany.mutate({ events: { topic: 'task.progress', payload: progress } }); // bad: it is a list
await trpc.events.publishMany.mutate({ events: [{ topic: 'task.completed', payload: progress }] }); // bad: of another topic
export const request: PublishRequest<'task.progress'> = { topic: 'agent.output', payload: progress }; // bad: another topic
export type NoInput = EventInputs['state.changed']; // bad: it is written by its own procedures
export type NoTopic = Events['no.such']; // bad: nobody declares it

// ── subscriptions ──

trpc.stream.onTaskProgress.subscribe({}, {}); // bad: a taskId is required
trpc.stream.onTaskProgress.subscribe(undefined, {}); // bad: input is required
trpc.stream.onTaskProgress.subscribe({ taskid: 't' }, {}); // bad: misspelt
trpc.stream.onTaskProgress.subscribe({ taskId: 't', agentId: 'a' }, {}); // bad: it is not filtered by that
trpc.stream.onTaskProgress.subscribe({ taskId: 't', replay: 'first' }, {}); // bad: no such replay
trpc.stream.onTaskProgress.subscribe({ taskId: 't', lastEventId: 7 }, {}); // bad: an id is text
trpc.stream.onTaskProgress.query({ taskId: 't' }); // bad: it is a subscription
trpc.stream.onTaskProgess.subscribe({ taskId: 't' }, {}); // bad: misspelt
trpc.stream.onTaskProgress.subscribe({ taskId: 't' }, { onData: (event) => event.percent }); // bad: no such field
trpc.stream.onTaskProgress.subscribe({ taskId: 't' }, { onData: (event) => event.phase === 'deploy' }); // bad: no such phase
trpc.stream.onTaskProgress.subscribe({ taskId: 't' }, { onData: (event) => event.timestamp.getTime() }); // bad: it is text
trpc.stream.onTaskProgress.subscribe({ taskId: 't' }, { onData: (event) => event.data }); // bad: it is not tracked
trpc.tracked.onTaskProgress.subscribe({ taskId: 't' }, { onData: (event) => event.phase }); // bad: it is in data
trpc.stream.onTaskCompleted.subscribe({ taskId: 't' }, { onData: (event) => event.artifacts[0]?.size.toFixed() }); // bad: it may not be there
trpc.stream.onSystemEvent.subscribe(undefined, { onData: (event) => event.payload.name }); // bad: nobody knows what it is
trpc.stream.onEvent.subscribe({ topics: ['**'] }, { onData: (event) => event.payload.content }); // bad: not all have it
trpc.stream.onEvent.subscribe({ topics: ['**'] }, { onData: (event) => event.topic === 'no.such' }); // bad: nobody declares it
trpc.stream.onEvent.subscribe({ key: 'k' }, {}); // bad: patterns are required
trpc.state.onChange.subscribe({ prefix: '' }, { onData: (change) => change.key.length }); // bad: it is null once synced
trpc.state.onChange.subscribe({ prefix: '' }, { onData: (change) => change.op === 'cleared' }); // bad: it is never said
export const told = (event: HubEvent) => (event.topic === 'task.progress' ? event.payload.content : ''); // bad: of another topic
export const keyed = (event: HubEvent): string => event.key; // bad: not all have one

// ── inference ──

type In = inferRouterInputs<AppRouter>;
type Out = inferRouterOutputs<AppRouter>;
export const asked: In['stream']['onAgentOutput'] = { agentId: 'a' }; // bad: a taskId is required
export const healthy: Out['hub']['health'] = { status: 'ok' }; // bad: there is more
same<TaskProgressEvent, Out['hub']['health']>(); // bad: they are not the same

// ── a plugin's ──

await every.every.echo.query({ keyField: 'k' }); // bad: more is required
await every.every.list.query({ colours: ['green'] }); // bad: no such colour
await every.every.clock.query({}); // bad: it takes none
(await every.every.untold.mutate()).id; // bad: nobody says what it is
export const literal: Every['type'] = 'its'; // bad: no such literal
export const count: Every['type'] = 4; // bad: no such literal
export const row: Every['row'] = [1, 'two']; // bad: there are three
export const chosen: Every['chosen'] = { three: 3 }; // bad: no such key
export const octets: EveryInput['octets'] = new Uint8Array(); // bad: it is base64 text
export const maybe: Every['maybe'] = null; // bad: it is left out instead
export const figure = (one: Every): number => one.figure?.radius ?? 0; // bad: not all have one
export const hidden = (one: EveryInput) => one.hidden; // bad: it is the hub's own
every.deploy.onRelease.subscribe({}, {}); // bad: an env is required
every.deploy.onRelease.subscribe({ env: 'prod' }, { onData: (event) => event.version.major }); // bad: nobody knows what it is
