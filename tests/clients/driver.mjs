// An unmodified tRPC client on strings: commands come in on stdin, what the client did goes out on stdout.
//
// Run in a folder that holds node_modules/@trpc/client; the version there is the version under test. Both streams
// are JSON lines. A line of commands is one command, or a list of commands to give in one tick (tRPC makes that
// one batch).
//
//   {do: "create", url, via, options}          via: links.mjs; options: puppet.py names them
//   {do: "query" | "mutation", call, path, input}
//   {do: "subscribe", sub, path, input}        {do: "unsubscribe", sub}
//   {do: "close", call}
//
// Reports, numbered by `at` in the order in which the client spoke:
//
//   {call, outcome: "ok", value}               {call, outcome: "error", value: failure}
//   {sub, event: "started" | "data" | "error" | "stopped" | "complete" | "state", value}
//   {ws: "open" | "close" | "error", code}
//   {http: status}                             an answer to a call, or to a batch of them
//   {logged: [direction, kind, path]}          what the loggerLink was given
//   {uncaught: failure}                        an exception that the client let escape
//
// where failure = {name, message, code, data}. Values that JSON has no word for stand as {"$js": text}: in commands
// the text is an expression, in reports it is what Node's inspect shows. The end of stdin ends this program.

import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';
import { inspect } from 'node:util';
import { chain } from './links.mjs';

const { createTRPCProxyClient } = createRequire(`${process.cwd()}/`)('@trpc/client');

let close;
let trpc;
let at = 0;
const subscriptions = new Map();

const evaluated = (_, value) => (value?.$js === undefined ? value : (0, eval)(`(${value.$js})`));

const isJson = (value) =>
  value === null ||
  ['string', 'boolean'].includes(typeof value) ||
  (Number.isFinite(value) && !Object.is(value, -0)) ||
  Array.isArray(value) ||
  Object.getPrototypeOf(value ?? 0) === Object.prototype;

// A function, since a Date is no Date any more when JSON.stringify hands it over as `value`.
function shown(key) {
  const value = this[key];
  return isJson(value) ? value : { $js: inspect(value, { depth: null, breakLength: Infinity, sorted: true }) };
}

const report = (fact) => process.stdout.write(`${JSON.stringify({ ...fact, at: ++at }, shown)}\n`);

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

const commands = {
  create({ url, via, options }) {
    const made = chain({ url, via, options, report });
    close = made.close;
    trpc = createTRPCProxyClient({ links: made.links, transformer: made.transformer });
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
  close: ({ call }) => settle(call, close()),
};

process.on('uncaughtException', (error) => report({ uncaught: failure(error) }));

createInterface({ input: process.stdin })
  .on('line', (line) => [JSON.parse(line, evaluated)].flat().forEach((command) => commands[command.do](command)))
  .on('close', () => process.exit(0));
