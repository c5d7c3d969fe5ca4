// Made by adohub 0.1.0 with `adohub typegen`. Do not edit; make it anew.

import type {
  TRPCBuiltRouter,
  TRPCDefaultErrorShape,
  TRPCMutationProcedure,
  TRPCQueryProcedure,
  TRPCRouterRecord,
  TRPCSubscriptionProcedure,
} from '@trpc/server';

/** What is JSON already: of what has a `toJSON`, tRPC takes the result as it stands. */
type Sent<T> = { toJSON(): T };
type Query<I, O> = TRPCQueryProcedure<{ input: I; output: Sent<O>; meta: object }>;
type Mutation<I, O> = TRPCMutationProcedure<{ input: I; output: Sent<O>; meta: object }>;
type Subscription<I, O> = TRPCSubscriptionProcedure<{
  input: I;
  output: AsyncIterable<Sent<O>, void, any>;
  meta: object;
}>;
type Root = {
  ctx: object;
  meta: object;
  errorShape: TRPCDefaultErrorShape;
  transformer: false;
};
type Router<R extends TRPCRouterRecord> = TRPCBuiltRouter<Root, R>;

/** What `hub.info` says as `schemaHash` as long as these are the hub's types. */
export const schemaHash = '692b475ff242b21402bae4ab42bb983aaad46651e70822943f87572420aee2f9';

/** An event of a `tracked.*` subscription, with its id. */
export type Tracked<T> = { id: string; data: T };

/** A piece of output, as it came: `content` may be several lines, or part of one. */
export interface AgentOutputEvent {
  taskId: string;
  agentId: string;
  type: 'stdout' | 'stderr' | 'tool_call' | 'tool_result';
  content: string;
  timestamp: string;
}

/** A piece of output, as it came: `content` may be several lines, or part of one. */
export interface AgentOutputEventInput {
  taskId: string;
  agentId: string;
  type: 'stdout' | 'stderr' | 'tool_call' | 'tool_result';
  content: string;
  timestamp?: string;
}

/** Something a task has made. `size` in bytes. */
export interface Artifact {
  name: string;
  kind?: string;
  uri?: string;
  size?: number;
  mediaType?: string;
}

/** Something a task has made. `size` in bytes. */
export interface ArtifactInput {
  name: string;
  kind?: string | null;
  uri?: string | null;
  size?: number | null;
  mediaType?: string | null;
}

/** Who attends, what it can do, and whatever else others should know of it. */
export interface AttendInput {
  workerId: string;
  capabilities?: string[];
  metadata?: Record<string, unknown>;
}

/** With a revision: only if it is the key's. */
export interface DeleteInput {
  key: string;
  ifRevision?: number | null;
  idempotencyKey?: string | null;
}

/** Which events: of topics that match any of the patterns, and of this key if one is given. */
export interface EventsInput {
  topics: string[];
  key?: string | null;
}

/** Which key. */
export interface GetInput {
  key: string;
}

/** Which events, after which event id, and at most how many. */
export interface HistoryInput {
  topics: string[];
  key?: string | null;
  after?: string | null;
  limit?: number;
}

/** Some events, in their order; `next` is a value for `after`, or null at the end. */
export interface HistoryPage {
  events: HubEvent[];
  next: string | null;
}

/** A subscription, as `hub.info` tells of it; `tracked` twins are told of, too. */
export interface HubChannel {
  path: string;
  topics: string[];
  key: string | null;
  replay: 'none' | 'last' | 'all';
  tracked: boolean;
}

/** How the hub is; `uptime` in seconds, `instance` anew at each start. */
export interface HubHealth {
  status: 'ok' | 'degraded' | 'draining';
  version: string;
  instance: string;
  uptime: number;
}

/** What the hub has to offer. The hash is that of the types that `adohub typegen` writes for it. */
export interface HubInfo {
  channels: HubChannel[];
  topics: HubTopic[];
  plugins: HubPlugin[];
  engine: string;
  schemaHash: string;
}

/** A plugin, as `hub.info` tells of it. */
export interface HubPlugin {
  name: string;
  version: string;
  status: 'loaded' | 'failed' | 'disabled';
}

/** A topic, as `hub.info` tells of it; `fields` null means any. */
export interface HubTopic {
  name: string;
  key: string | null;
  fields: Record<string, string> | null;
}

/** What the keys begin with; empty for all of them. */
export interface PrefixInput {
  prefix: string;
}

/**
 * Somebody who is present, `since` when, and what is said `about` it: the payload of a presence topic.
 *
 * `hub` is the instance that answers for it, `ticket` tells its subscription from all others. It has been
 * given what the channel carries up to `after`, an event id, or else nothing since it began.
 */
export interface Present {
  key: string;
  about: unknown;
  since: string;
  phase: 'arriving' | 'here' | 'away' | 'left' | 'gone';
  hub: string;
  ticket: string;
  after: string;
}

/** Several events, kept all or none. */
export interface PublishManyInput {
  events: PublishRequest[];
}

/** The event is kept, under this id and with this timestamp. */
export interface Published {
  id: string;
  timestamp: string;
}

/** The events are kept, under these ids. */
export interface PublishedMany {
  ids: string[];
}

/** What the key has come to. */
export interface Revision {
  revision: number;
}

/** A command for a worker that is present. */
export interface SendInput {
  workerId: string;
  kind: string;
  payload?: unknown;
}

/** With a revision: only if it is the key's; 0 means that there must be no such key yet. */
export interface SetInput {
  key: string;
  value: unknown;
  ifRevision?: number | null;
  idempotencyKey?: string | null;
}

/** A key has a new value, or, when it was deleted, none. */
export interface StateChange {
  op: 'set' | 'delete';
  key: string;
  value: unknown;
}

/** The chosen keys, in order. */
export interface StateEntries {
  entries: StateEntry[];
}

/** A key, what it has, and since which revision. */
export interface StateEntry {
  key: string;
  value: unknown;
  revision: number;
}

/** What a key has, and since which revision. */
export interface StateValue {
  value: unknown;
  revision: number;
}

/** What the input of every channel may say besides the channel's own fields. */
export interface SubscriptionInput {
  replay?: 'none' | 'last' | 'all' | null;
  lastEventId?: string | null;
}

/** Something happened to the system itself; what `payload` holds depends on `type`. */
export interface SystemEvent {
  type: 'worker.added' | 'worker.removed' | 'provider.status';
  payload: unknown;
  timestamp: string;
}

/** Something happened to the system itself; what `payload` holds depends on `type`. */
export interface SystemEventInput {
  type: 'worker.added' | 'worker.removed' | 'provider.status';
  payload: unknown;
  timestamp?: string;
}

/** A task is done. `duration` in milliseconds. */
export interface TaskCompletedEvent {
  taskId: string;
  status: 'completed' | 'failed';
  duration: number;
  artifacts: Artifact[];
}

/** A task is done. `duration` in milliseconds. */
export interface TaskCompletedEventInput {
  taskId: string;
  status: 'completed' | 'failed';
  duration: number;
  artifacts: ArtifactInput[];
}

/** How far a task is: `progress` percent of `phase`. */
export interface TaskProgressEvent {
  taskId: string;
  phase: 'spec' | 'impl' | 'test' | 'validate';
  progress: number;
  message: string;
  timestamp: string;
}

/** How far a task is: `progress` percent of `phase`. */
export interface TaskProgressEventInput {
  taskId: string;
  phase: 'spec' | 'impl' | 'test' | 'validate';
  progress: number;
  message: string;
  timestamp?: string;
}

/** A worker that is present, and since when. */
export interface Worker {
  workerId: string;
  capabilities: string[];
  metadata: Record<string, unknown>;
  since: string;
}

/** Something for one worker to do; `commandId` tells it from all others, should it come twice. */
export interface WorkerCommand {
  commandId: string;
  workerId: string;
  kind: string;
  payload: unknown;
  timestamp: string;
}

/** Something for one worker to do; `commandId` tells it from all others, should it come twice. */
export interface WorkerCommandInput {
  commandId: string;
  workerId: string;
  kind: string;
  payload: unknown;
  timestamp?: string;
}

/** All workers that are present, in order of their ids. */
export interface Workers {
  workers: Worker[];
}

/** The command is kept, and its worker will be given it. */
export interface WorkersSent {
  commandId: string;
}

/** What subscribers get, by topic. */
export interface Events {
  'agent.output': AgentOutputEvent;
  'state.changed': StateChange;
  'system.provider.status': SystemEvent;
  'system.worker.added': SystemEvent;
  'system.worker.removed': SystemEvent;
  'task.completed': TaskCompletedEvent;
  'task.progress': TaskProgressEvent;
  'worker.command': WorkerCommand;
  'worker.presence': Present;
}

/** What may be published, by topic. */
export interface EventInputs {
  'agent.output': AgentOutputEventInput;
  'system.provider.status': SystemEventInput;
  'system.worker.added': SystemEventInput;
  'system.worker.removed': SystemEventInput;
  'task.completed': TaskCompletedEventInput;
  'task.progress': TaskProgressEventInput;
  'worker.command': WorkerCommandInput;
}

/** An event whole, told by its topic. */
export type HubEvent<T extends keyof Events = keyof Events> = {
  [K in T]: { id: string; topic: K; key: string | null; payload: Events[K]; timestamp: string };
}[T];

/** An event to publish, told by its topic. */
export type PublishRequest<T extends keyof EventInputs = keyof EventInputs> = {
  [K in T]: { topic: K; payload: EventInputs[K]; idempotencyKey?: string | null };
}[T];

/** Every procedure of the hub: what a tRPC client is made for. */
export type AppRouter = Router<{
  events: {
    history: Query<HistoryInput, HistoryPage>;
    /** Answers `{id, timestamp}` once storage holds the event. */
    publish: Mutation<PublishRequest, Published>;
    publishMany: Mutation<PublishManyInput, PublishedMany>;
  };
  hub: {
    /** Answers `{status, version, instance, uptime}`. */
    health: Query<void, HubHealth>;
    /** Answers `{channels, topics, plugins, engine, schemaHash}`. */
    info: Query<void, HubInfo>;
  };
  state: {
    /** Answers `{revision}`, 0 if there was nothing to delete. */
    delete: Mutation<DeleteInput, Revision>;
    /** Answers `{value, revision}`, or null if there is no such key. */
    get: Query<GetInput, StateValue | null>;
    /** Answers `{entries: [{key, value, revision}]}`, in order of their keys. */
    list: Query<PrefixInput, StateEntries>;
    /** Carries state.changed. Begins with all there is. */
    onChange: Subscription<PrefixInput & SubscriptionInput, (StateChange | { op: 'synced'; key: null; value: null }) & { revision: number }>;
    /** Answers `{revision}`. */
    set: Mutation<SetInput, Revision>;
  };
  stream: {
    /** Carries agent.output. Completes with task.completed. */
    onAgentOutput: Subscription<{ taskId: string; agentId?: string | null } & SubscriptionInput, AgentOutputEvent>;
    /** Carries what its input chooses. */
    onEvent: Subscription<EventsInput & SubscriptionInput, HubEvent>;
    /** Carries system.worker.added, system.worker.removed, system.provider.status. */
    onSystemEvent: Subscription<SubscriptionInput | void, SystemEvent>;
    /** Carries task.completed. Begins with the newest of each key. Completes with task.completed. */
    onTaskCompleted: Subscription<{ taskId: string } & SubscriptionInput, TaskCompletedEvent>;
    /** Carries task.progress. Begins with the newest of each key. Completes with task.completed. */
    onTaskProgress: Subscription<{ taskId: string } & SubscriptionInput, TaskProgressEvent>;
  };
  tracked: {
    /** Carries agent.output. Completes with task.completed. */
    onAgentOutput: Subscription<{ taskId: string; agentId?: string | null } & SubscriptionInput, Tracked<AgentOutputEvent>>;
    /** Carries what its input chooses. */
    onEvent: Subscription<EventsInput & SubscriptionInput, Tracked<HubEvent>>;
    /** Carries system.worker.added, system.worker.removed, system.provider.status. */
    onSystemEvent: Subscription<SubscriptionInput | void, Tracked<SystemEvent>>;
    /** Carries task.completed. Begins with the newest of each key. Completes with task.completed. */
    onTaskCompleted: Subscription<{ taskId: string } & SubscriptionInput, Tracked<TaskCompletedEvent>>;
    /** Carries task.progress. Begins with the newest of each key. Completes with task.completed. */
    onTaskProgress: Subscription<{ taskId: string } & SubscriptionInput, Tracked<TaskProgressEvent>>;
  };
  workers: {
    /** Carries worker.command. */
    attend: Subscription<AttendInput & SubscriptionInput, WorkerCommand>;
    /** Answers `{workers: [{workerId, capabilities, metadata, since}]}`. */
    list: Query<void, Workers>;
    /** Answers `{commandId}` once the command is kept; NOT_FOUND if the worker is not present. */
    send: Mutation<SendInput, WorkersSent>;
  };
}>;
