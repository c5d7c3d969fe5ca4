// Everything that the built-in plugins offer, used as it is meant to be: this compiles.

import {
  createTRPCClient,
  createWSClient,
  httpBatchLink,
  httpSubscriptionLink,
  splitLink,
  wsLink,
} from '@trpc/client';
import type { inferRouterInputs, inferRouterOutputs } from '@trpc/server';

import { schemaHash } from './hub.js';
import { same } from './same.js';
import type {
  AgentOutputEvent,
  AppRouter,
  EventInputs,
  Events,
  HubEvent,
  PublishRequest,
  TaskCompletedEvent,
  TaskProgressEvent,
  Tracked,
  WorkerCommand,
} from './hub.js';

const trpc = createTRPCClient<AppRouter>({
  links: [
    splitLink({
      condition: (op) => op.type === 'subscription',
      true: wsLink({ client: createWSClient({ url: 'ws://localhost:3001' }) }),
      false: httpBatchLink({ url: 'http://localhost:3001/trpc' }),
    }),
  ],
});
createTRPCClient<AppRouter>({ links: [httpSubscriptionLink({ url: 'http://localhost:3001/trpc' })] });

type In = inferRouterInputs<AppRouter>;
type Out = inferRouterOutputs<AppRouter>;

// ── queries and mutations ──

const health = await trpc.hub.health.query();
const status: 'ok' | 'degraded' | 'draining' = health.status;
health.uptime.toFixed(status.length);

const info = await trpc.hub.info.query();
if (info.schemaHash !== schemaHash) console.warn('made for another hub');
same<typeof schemaHash extends string ? true : false, true>();
for (const topic of info.topics) topic.fields?.['taskId']?.toUpperCase();

const kept = await trpc.events.publish.mutate({
  topic: 'task.progress',
  payload: { taskId: 't', phase: 'impl', progress: 40, message: 'compiling' },
});
same<typeof kept, { id: string; timestamp: string }>();
await trpc.events.publish.mutate({
  topic: 'task.completed',
  payload: { taskId: 't', status: 'failed', duration: 3, artifacts: [{ name: 'log', size: null }] },
  idempotencyKey: 'once',
});

const many: PublishRequest[] = [
  { topic: 'system.worker.added', payload: { type: 'worker.added', payload: { any: ['thing'] } } },
  { topic: 'agent.output', payload: { taskId: 't', agentId: 'a', type: 'stdout', content: 'hello' } },
];
const ids: string[] = (await trpc.events.publishMany.mutate({ events: many })).ids;
const output: PublishRequest<'agent.output'> = { topic: 'agent.output', payload: { ...({} as AgentOutputEvent) } };
await trpc.events.publishMany.mutate({ events: [output] });

const page = await trpc.events.history.query({ topics: ['task.*'], limit: 10, after: ids[0] });
const next: string | null = page.next;
for (const event of page.events) show(event);
await trpc.events.history.query({ topics: ['**'], after: next });

await trpc.state.set.mutate({ key: 'k', value: { nested: [1, null] }, ifRevision: 0 });
const entry = await trpc.state.get.query({ key: 'k' });
const revision: number | undefined = entry?.revision;
await trpc.state.delete.mutate({ key: 'k', ifRevision: revision });
const value: unknown = (await trpc.state.list.query({ prefix: '' })).entries[0]?.value;

const sent: string = (await trpc.workers.send.mutate({ workerId: 'w', kind: 'run', payload: [1] })).commandId;
const [worker] = (await trpc.workers.list.query()).workers;
if (worker) console.log(sent, worker.workerId, worker.capabilities.length, worker.metadata['os'], Date.parse(worker.since));

// ── subscriptions ──

const progress = trpc.stream.onTaskProgress.subscribe(
  { taskId: 't', replay: 'all', lastEventId: kept.id },
  {
    onStarted: () => {},
    onData: (event) => {
      same<typeof event, TaskProgressEvent>();
      const phase: 'spec' | 'impl' | 'test' | 'validate' = event.phase;
      console.log(phase, event.progress.toFixed(1), Date.parse(event.timestamp), value);
    },
    onError: (error) => console.error(error.message, error.data?.code),
    onComplete: () => {},
  },
);
progress.unsubscribe();

trpc.stream.onTaskCompleted.subscribe(
  { taskId: 't' },
  {
    onData: (event) => {
      same<typeof event, TaskCompletedEvent>();
      const size: number | undefined = event.artifacts[0]?.size;
      console.log(size);
    },
  },
);
trpc.stream.onAgentOutput.subscribe({ taskId: 't', agentId: 'a' }, { onData: (event) => event.content.trim() });
trpc.stream.onSystemEvent.subscribe(undefined, { onData: (event) => event.type });
trpc.stream.onSystemEvent.subscribe({ replay: 'last' }, { onData: (event) => void event.payload });
trpc.stream.onEvent.subscribe({ topics: ['task.*', 'agent.**'], key: 't' }, { onData: show });
trpc.tracked.onTaskProgress.subscribe(
  { taskId: 't' },
  {
    onData: (event) => {
      same<typeof event, Tracked<TaskProgressEvent>>();
      console.log(event.id, event.data.progress);
    },
  },
);
trpc.tracked.onEvent.subscribe({ topics: ['**'] }, { onData: (event) => show(event.data) });
trpc.state.onChange.subscribe(
  { prefix: 'app.' },
  {
    onData: (change) => {
      const at: number = change.revision;
      if (change.op === 'synced') same<typeof change.key, null>();
      else console.log(change.key.length, change.value, at);
    },
  },
);

trpc.workers.attend.subscribe(
  { workerId: 'w', capabilities: ['gpu'], metadata: { slots: 3 } },
  {
    onData: (command) => {
      same<typeof command, WorkerCommand>();
      console.log(command.commandId, command.kind, command.payload);
    },
  },
);

// ── events by topic ──

function show(event: HubEvent): void {
  const key: string | null = event.key;
  switch (event.topic) {
    case 'task.progress':
      console.log(key, event.payload.progress);
      break;
    case 'task.completed':
      console.log(event.payload.artifacts.map((artifact) => artifact.name));
      break;
    case 'agent.output':
      same<typeof event, HubEvent<'agent.output'>>();
      console.log(event.payload.content);
      break;
    case 'state.changed':
      console.log(event.payload.op);
      break;
    case 'worker.presence':
      console.log(event.payload.phase);
      break;
    case 'worker.command':
      same<typeof event.payload, WorkerCommand>();
      break;
    default:
      console.log(event.payload.type);
  }
}

const handlers: { [T in keyof Events]?: (payload: Events[T]) => void } = {
  'task.progress': (payload) => payload.phase,
};
handlers['task.progress']?.({ taskId: 't', phase: 'spec', progress: 0, message: '', timestamp: '' });
same<'state.changed' extends keyof Events ? true : false, true>();
same<'state.changed' extends keyof EventInputs ? true : false, false>();

// ── inference ──

same<Out['stream']['onTaskProgress'], AsyncIterable<TaskProgressEvent, void, any>>();
same<Out['hub']['health']['status'], 'ok' | 'degraded' | 'draining'>();
const asked: In['stream']['onAgentOutput'] = { taskId: 't' };
console.log(asked, {} satisfies In['stream']['onSystemEvent']);
