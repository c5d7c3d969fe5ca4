import { QueryClient } from '@tanstack/react-query';
import { createTRPCClient, createWSClient, wsLink } from '@trpc/client';
import { createTRPCContext } from '@trpc/tanstack-react-query';
import type { AppRouter } from './adohub';

export const { TRPCProvider, useTRPC } = createTRPCContext<AppRouter>();

// What the provider needs, for the hub at `url`.
export const connect = (url: string) => ({
  queryClient: new QueryClient(),
  trpcClient: createTRPCClient<AppRouter>({ links: [wsLink({ client: createWSClient({ url }) })] }),
});
