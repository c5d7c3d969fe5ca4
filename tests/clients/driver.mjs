// An unmodified tRPC client on strings: commands come in on stdin, what the client did goes out on stdout.
//
// Run in a folder that holds node_modules/@trpc/client; the version there is the version under test. Both streams
// are JSON lines. A line of commands is one command, or a list of commands to give in one tick (tRPC makes that
// one batch).
//
//   {do: "create", url, options}               options: puppet.py names them
//   {do: "query" | "mutation", call, path, input}
//   {do: "subscribe", sub, path, input}        {do: "unsubscribe", sub}
//   {do: "close", call}
//
// Reports, numbered by `at` in the order in which the client spoke:
//
//   {call, outcome: "ok", value}               {call, outcome: "error", value: failure}
//   {sub, event: "started" | "data" | "error" | "stopped" | "complete" | "state", value}
//   {ws: "open" | "close" | "error", code}
//   {uncaught: failure}                        an exception that the client let escape
//
// where failure = {name, message, code, data}. The end of stdin ends this program.

import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';

const require = createRequire(`${process.cwd()}/`);
const { createTRPCProxyClient, createWSClient, wsLink } = require('@trpc/client');
globalThis.WebSocket = require('ws').WebSocket; // Node 20 has none, later ones have their own: always the same here

let socket;
let trpc;
let at = 0;
const subscriptions = new Map();

const report = (fact) => process.stdout.write(`${JSON.stringify({ ...fact, at: ++at })}\n`);

const failure = (error) => ({
  name: error?.name ?? typeof error,
  message: error?.message ?? String(error),
  code: error?.data?.code ?? null,
  data: error?.data ?? null,
});

const procedure = (path) => path.split('.').reduce((node, segment) => node[segment], trpc);

const settle = (call, promise) =>
  promise.then(
    (value) => report({ call, outcome: 'ok', value }),
    (error) => report({ call, outcome: 'error', value: failure(error) }),
  );

// The callback of a list gives its values in turn, and the last one from then on.
const inTurn = (values) => {
  let next = 0;
  return () => values[Math.min(next++, values.length - 1)];
};

const clientOptions = ({ url, options: { retryDelayMs, connectionParams, ...others } }) => ({
  url,
  ...others,
  ...(retryDelayMs !== undefined && { retryDelayMs: () => retryDelayMs }),
  ...(connectionParams !== undefined && { connectionParams: inTurn([connectionParams].flat()) }),
  onOpen: () => report({ ws: 'open' }),
  onClose: (cause) => report({ ws: 'close', code: cause?.code ?? null }),
  onError: () => report({ ws: 'error' }),
});

const commands = {
  create(command) {
    socket = createWSClient(clientOptions(command));
    trpc = createTRPCProxyClient({ links: [wsLink({ client: socket })] });
  },
  query: ({ call, path, input }) => settle(call, procedure(path).query(input)),
  mutation: ({ call, path, input }) => settle(call, procedure(path).mutate(input)),
  subscribe({ sub, path, input }) {
    const tell = (event) => (value) => report({ sub, event, value });
    const observer = {
      onStarted: () => report({ sub, event: 'started' }),
      onData: tell('data'),
      onError: (error) => report({ sub, event: 'error', value: failure(error) }),
      onStopped: () => report({ sub, event: 'stopped' }),
      onComplete: () => report({ sub, event: 'complete' }),
      onConnectionStateChange: ({ state }) => report({ sub, event: 'state', value: state }),
    };
    subscriptions.set(sub, procedure(path).subscribe(input, observer));
  },
  unsubscribe: ({ sub }) => subscriptions.get(sub).unsubscribe(),
  close: ({ call }) => settle(call, Promise.resolve(socket.close())),
};

process.on('uncaughtException', (error) => report({ uncaught: failure(error) }));

createInterface({ input: process.stdin })
  .on('line', (line) => [JSON.parse(line)].flat().forEach((command) => commands[command.do](command)))
  .on('close', () => process.exit(0));
