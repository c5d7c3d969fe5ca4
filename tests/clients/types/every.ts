// A plugin with a field of every kind: its types are these, and a client may use them so.

import { createTRPCClient, httpLink } from '@trpc/client';
import type { inferRouterInputs, inferRouterOutputs } from '@trpc/server';

import type { AppRouter, Artifact, Every, EveryInput, Events, HubEvent, OuterArtifact, Tree } from './hub-every.js';
import { same } from './same.js';

const trpc = createTRPCClient<AppRouter>({ links: [httpLink({ url: 'http://localhost:3001/trpc' })] });

same<Every['keyField'], string>();
same<Every['later']['at'], string>();
same<Every['later']['tree']['branches'][number], Tree>();
same<Every['type'], "it's" | 'a "quote"' | 'back\\slash' | 'line\nbreak' | 3 | -1 | true | null>();
same<Every['colour'], 'red' | 'blue'>();
same<
  Every['figure'],
  { kind: 'circle'; radius: number } | { kind: 'square'; side: number; at: string } | null
>();
same<Every['row'][1], string>();
same<Every['row']['length'], 3>();
same<Every['many'], NonNullable<Every['figure']>[]>();
same<Every['weights'], (number | null)[]>();
same<Every['named'], Record<string, Tree>>();
same<Every['chosen'], { one?: number; two?: number }>();
same<Every['octets'], string>();
same<Every['anything'], unknown>();
same<Every['flag'], boolean>();
same<Every['artifact'], OuterArtifact>();
same<OuterArtifact, { size: number }>();
same<Artifact['kind'], string | undefined>();
same<Every['nothing'], null>();
same<Pick<Every, 'maybe' | 'choice' | 'free'>, { maybe?: string; choice?: 'a' | 'b'; free?: unknown }>();
same<Pick<Every, 'count' | 'timestamp'>, { count: number; timestamp: string }>();
same<'hidden' extends keyof Every ? true : false, false>();
same<
  Pick<EveryInput, 'maybe' | 'count' | 'timestamp'>,
  { maybe?: string | null; count?: number; timestamp?: string }
>();

type In = inferRouterInputs<AppRouter>;
type Out = inferRouterOutputs<AppRouter>;
same<In['every']['echo'], EveryInput>();
same<Out['every']['echo'], Every>();
same<In['every']['clock'], void>();
same<Out['every']['untold'], unknown>();

const pair: [Tree, Tree] = await trpc.every.twice.query({ name: 'no branches needed' });
const listed = await trpc.every.list.query();
await trpc.every.list.query({ colours: ['red'] });
for (const one of listed) console.log('branches' in one ? one.branches.length : one.colour, pair);
console.log((await trpc.every.clock.query()).slice(0, 10));

const relayed = await trpc.every.relay.mutate({
  events: [{ topic: 'every.tree', payload: { name: 'oak', branches: [{ name: 'twig' }] } }],
});
const last: HubEvent | null = relayed.last;
if (last?.topic === 'every.thing' && last.payload.figure?.kind === 'square') console.log(last.payload.figure.side);

trpc.every.onThing.subscribe({ keyField: 'k', colour: 'red' }, { onData: (event) => same<typeof event, Every>() });
trpc.every.trackedThing.subscribe({ keyField: 'k' }, { onData: (event) => same<typeof event.data, Every>() });
trpc.every.onAny.subscribe(undefined, { onData: (event) => same<typeof event, Events[keyof Pick<Events, `every.${string}` & keyof Events>]>() });
trpc.every.onChosen.subscribe({ least: 3 }, { onData: (event) => event.revision.toFixed() });
trpc.deploy.onRelease.subscribe({ env: 'prod' }, { onData: (event) => same<typeof event, Record<string, unknown>>() });
await trpc.events.publish.mutate({ topic: 'deploy.release', payload: { env: 'prod', version: 3 } });
