// The links of a client under test, all of one version: that of the folder this runs in.
//
//   const { links, transformer, close } = chain({ url, via, options, report });
//
// `url` is the hub's, ws://HOST:PORT; its HTTP address follows from it. `via` says who carries what: "ws", "http",
// "batch" or "stream" alone carries everything; in "batch+sse" the first has the calls and the second the
// subscriptions. The options besides those of createWSClient, which go there as they are, are named in puppet.py.

import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const require = createRequire(`${process.cwd()}/`);
const trpc = require('@trpc/client');
const isV10 = trpc.retryLink === undefined;
const superjson = (await import(pathToFileURL(require.resolve('superjson')).href)).default; // it is a module only
globalThis.WebSocket = require('ws').WebSocket; // Node 20 has none, later ones have their own: always the same here

// The callback of a list gives its values in turn, and the last one from then on.
const inTurn = (values) => {
  let next = 0;
  return () => values[Math.min(next++, values.length - 1)];
};

const httpAddress = (url) => {
  const address = new URL(url);
  const path = address.pathname === '/' ? '/trpc' : address.pathname;
  return `${address.protocol.replace('ws', 'http')}//${address.host}${path}${address.search}`;
};

// Frames are MessagePack, whatever they hold; what a field leaves undefined is left out, as in JSON.
const msgpack = () => {
  const { encode, decode } = require('@msgpack/msgpack');
  return {
    encode: (data) => encode(data, { ignoreUndefined: true }),
    decode: (data) => {
      if (typeof data === 'string') throw new Error(`a text frame among binary ones: ${data}`);
      return decode(new Uint8Array(data));
    },
  };
};

const websocket = ({ url, report }, { retryDelayMs, encoder, tokens, ...others }) => {
  const token = inTurn([tokens].flat());
  const client = trpc.createWSClient({
    url: tokens ? () => `${url}/?token=${token()}` : url,
    ...others,
    ...(retryDelayMs !== undefined && { retryDelayMs: () => retryDelayMs }),
    ...(encoder && { experimental_encoder: msgpack() }),
    onOpen: () => report({ ws: 'open' }),
    onClose: (cause) => report({ ws: 'close', code: cause?.code ?? null }),
    onError: () => report({ ws: 'error' }),
  });
  return { close: () => client.close(), link: (shared) => trpc.wsLink({ client, ...shared }) };
};

const overHttp = (make) => ({ url, report }, { headers }) => {
  const reportedFetch = async (...request) => {
    const response = await fetch(...request);
    report({ http: response.status });
    return response;
  };
  return { link: (shared) => make({ url: httpAddress(url), headers, fetch: reportedFetch, ...shared }) };
};

const serverSentEvents = ({ url }, { connectionParams, headers }) => {
  const { EventSource } = require('eventsource');
  const fetchWithHeaders = (address, init) =>
    fetch(address, { ...init, headers: { ...init.headers, ...headers } });
  const eventSourceOptions = headers && { fetch: fetchWithHeaders };
  return {
    link: (shared) =>
      trpc.httpSubscriptionLink({
        url: httpAddress(url), EventSource, eventSourceOptions, connectionParams, ...shared,
      }),
  };
};

const transports = {
  ws: websocket,
  http: overHttp(trpc.httpLink),
  batch: overHttp(trpc.httpBatchLink),
  stream: overHttp(isV10 ? trpc.unstable_httpBatchStreamLink : trpc.httpBatchStreamLink),
  sse: serverSentEvents,
};

// What stands before the links that carry: the logger sees each call once, however often it is tried.
const before = ({ report }, { log, retries }) => {
  const logger = ({ direction, type, path }) => report({ logged: [direction, type, path] });
  const retry = ({ attempts }) => attempts <= retries;
  return [
    ...(log ? [trpc.loggerLink({ logger })] : []),
    ...(retries ? [trpc.retryLink({ retry, retryDelayMs: () => 50 })] : []),
  ];
};

export const chain = ({ via, options, ...place }) => {
  const { transformer: chosen, log, retries, connectionParams, ...others } = options;
  const given = {
    ...others,
    ...(connectionParams !== undefined && { connectionParams: inTurn([connectionParams].flat()) }),
  };
  const transformer = chosen && { superjson }[chosen];
  const carriers = via.split('+').map((each) => transports[each](place, given));
  const [forCalls, forSubscriptions] = carriers.map(({ link }) => link(isV10 ? {} : { transformer }));
  const isSubscription = ({ type }) => type === 'subscription';
  const carrying = forSubscriptions
    ? trpc.splitLink({ condition: isSubscription, true: forSubscriptions, false: forCalls })
    : forCalls;
  return {
    links: [...before(place, { log, retries }), carrying],
    transformer: isV10 ? transformer : undefined,
    close: () => Promise.all(carriers.map(({ close }) => close?.())),
  };
};
