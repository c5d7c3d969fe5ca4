// The hooks of @trpc/react-query.

import { useState } from 'react';
import { QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { createTRPCReact } from '@trpc/react-query';
import { linksTo } from './links.js';
import { Page, pressed, useCollected } from './page.jsx';

const trpc = createTRPCReact();

export const Classic = ({ hub, via, ...asked }) => {
  const [queryClient] = useState(() => new QueryClient());
  const [client] = useState(() => trpc.createClient({ links: linksTo(hub, via) }));
  return (
    <trpc.Provider client={client} queryClient={queryClient}>
      <QueryClientProvider client={queryClient}>
        <Watching {...asked} />
      </QueryClientProvider>
    </trpc.Provider>
  );
};

const Watching = ({ path, task }) => {
  const [events, onData] = useCollected();
  const [namespace, name] = path.split('.');
  const health = trpc.hub.health.useQuery(undefined, { retry: false });
  const mutation = trpc.events.publish.useMutation();
  const subscription = trpc[namespace][name].useSubscription({ taskId: task, replay: 'all' }, { onData });
  const publish = () => mutation.mutate(pressed(task));
  return <Page {...{ health, events, subscription }} publishing={{ ...mutation, publish }} />;
};
