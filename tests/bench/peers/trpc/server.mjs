// The stack that adohub replaces, built as its users had it: @trpc/server's standalone adapter for HTTP and SSE, its ws
// adapter on the same port, one EventEmitter for the whole hub, and subscriptions that listen to every event and keep
// those of their task.
//
//   node server.mjs               subscriptions are observables: the faster form on WebSockets, so the one to compare with
//   node server.mjs generators    they are async generators, as the documentation of v11 has them
//
// It knows what the benchmark asks of it and no more: nothing is stored, so nothing is replayed. Prints its address.

import { randomUUID } from 'node:crypto';
import { EventEmitter, on } from 'node:events';
import { initTRPC, tracked } from '@trpc/server';
import { createHTTPServer } from '@trpc/server/adapters/standalone';
import { applyWSSHandler } from '@trpc/server/adapters/ws';
import { observable } from '@trpc/server/observable';
import { WebSocketServer } from 'ws';

const t = initTRPC.create();
const hub = new EventEmitter();
hub.setMaxListeners(0);
const instance = randomUUID();
let lastId = 0;

function health() {
  return { status: 'ok', version: '11.25.2', instance, uptime: process.uptime() };
}

function publish({ topic, payload }) {
  const id = String(++lastId);
  hub.emit(topic, { id, payload });
  return { id, timestamp: new Date().toISOString() };
}

// The least that can be called validation; a schema library would cost more.

const phases = new Set(['spec', 'impl', 'test', 'validate']);

function task(input) {
  if (typeof input?.taskId !== 'string') throw new Error('expected a taskId');
  return input;
}

function event(input) {
  const payload = task(input?.payload);
  const { progress } = payload;
  const fits = input.topic === 'task.progress' && phases.has(payload.phase) && typeof payload.message === 'string';
  if (!fits || !(progress >= 0 && progress <= 100)) throw new Error('expected a progress event');
  return input;
}

function events(input) {
  if (!Array.isArray(input?.events)) throw new Error('expected events');
  return input.events.map(event);
}

async function* generated({ input, signal }) {
  for await (const [{ id, payload }] of on(hub, 'task.progress', { signal })) {
    if (payload.taskId === input.taskId) yield tracked(id, payload);
  }
}

function observed({ input }) {
  return observable((emit) => {
    const listen = ({ id, payload }) => {
      if (payload.taskId === input.taskId) emit.next(tracked(id, payload));
    };
    hub.on('task.progress', listen);
    return () => hub.off('task.progress', listen);
  });
}

const router = t.router({
  hub: t.router({ health: t.procedure.query(health) }),
  stream: t.router({
    onTaskProgress: t.procedure.input(task).subscription(process.argv[2] === 'generators' ? generated : observed),
  }),
  events: t.router({
    publish: t.procedure.input(event).mutation(({ input }) => publish(input)),
    publishMany: t.procedure.input(events).mutation(({ input }) => ({ ids: input.map((each) => publish(each).id) })),
  }),
});

const server = createHTTPServer({ router, basePath: '/trpc/' });
applyWSSHandler({ wss: new WebSocketServer({ server }), router });
server.listen(0, '127.0.0.1', () => console.log(`ready at ws://127.0.0.1:${server.address().port}`));
