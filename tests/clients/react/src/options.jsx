// The options of @trpc/tanstack-react-query, given to TanStack's hooks.

import { useState } from 'react';
import { QueryClient, QueryClientProvider, useMutation, useQuery } from '@tanstack/react-query';
import { createTRPCClient } from '@trpc/client';
import { createTRPCContext, useSubscription } from '@trpc/tanstack-react-query';
import { linksTo } from './links.js';
import { Page, pressed, useCollected } from './page.jsx';

const { TRPCProvider, useTRPC } = createTRPCContext();

export const Options = ({ hub, via, ...asked }) => {
  const [queryClient] = useState(() => new QueryClient());
  const [trpcClient] = useState(() => createTRPCClient({ links: linksTo(hub, via) }));
  return (
    <QueryClientProvider client={queryClient}>
      <TRPCProvider {...{ trpcClient, queryClient }}>
        <Watching {...asked} />
      </TRPCProvider>
    </QueryClientProvider>
  );
};

const Watching = ({ path, task }) => {
  const trpc = useTRPC();
  const [events, onData] = useCollected();
  const [namespace, name] = path.split('.');
  const input = { taskId: task, replay: 'all' };
  const health = useQuery(trpc.hub.health.queryOptions(undefined, { retry: false }));
  const mutation = useMutation(trpc.events.publish.mutationOptions());
  const subscription = useSubscription(trpc[namespace][name].subscriptionOptions(input, { onData }));
  const publish = () => mutation.mutate(pressed(task));
  return <Page {...{ health, events, subscription }} publishing={{ ...mutation, publish }} />;
};
