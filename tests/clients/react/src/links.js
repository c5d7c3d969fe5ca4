import { createWSClient, httpBatchLink, httpSubscriptionLink, splitLink, wsLink } from '@trpc/client';

const overHttp = (url) =>
  splitLink({
    condition: ({ type }) => type === 'subscription',
    true: httpSubscriptionLink({ url }),
    false: httpBatchLink({ url }),
  });

// The browser's own WebSocket, or its own EventSource and fetch.
export const linksTo = (hub, via) => [
  via === 'ws'
    ? wsLink({ client: createWSClient({ url: hub, retryDelayMs: () => 100 }) })
    : overHttp(`${hub.replace('ws:', 'http:')}/trpc`),
];
