// Many stock clients in one process, each with a WebSocket of its own and a subscription that it wants to keep.
//
//   node crowd.mjs NUMBER URL [TOKEN]          TOKEN goes as connection params; without it the URL says all
//
// Once a line comes in on stdin, {attempts, refused} goes out: how often they have tried to connect since the line
// before, and how many subscriptions have ended with an error. The end of stdin ends this program.

import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';

const require = createRequire(`${process.cwd()}/`);
const { createTRPCProxyClient, createWSClient, wsLink } = require('@trpc/client');
const { WebSocket } = require('ws');

const [number, url, token] = process.argv.slice(2);
let attempts = 0;
let refused = 0;

class Counted extends WebSocket {
  constructor(...how) {
    super(...how);
    attempts += 1;
  }
}
globalThis.WebSocket = Counted;

for (let made = 0; made < Number(number); made += 1) {
  const client = createWSClient({ url, WebSocket: Counted, ...(token && { connectionParams: () => ({ token }) }) });
  createTRPCProxyClient({ links: [wsLink({ client })] }).stream.onSystemEvent.subscribe(undefined, {
    onError: () => (refused += 1),
  });
}

createInterface({ input: process.stdin })
  .on('line', () => {
    process.stdout.write(`${JSON.stringify({ attempts, refused })}\n`);
    attempts = 0;
  })
  .on('close', () => process.exit());
