"""How a router is declared without a server's code, in the words of each version of @trpc/server.

Tried with the packages themselves (11.25, 11.18 and 10.45): their clients infer from these types what they
infer from those of tRPC's own builders. Without a transformer they put every output through what JSON would
do to it; ours are JSON already, and of what has a `toJSON` its result is taken as it stands.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from attrs import frozen

TrpcVersion = Literal["11", "10"]


@frozen
class Dialect:
    """What a module begins with, and what is around the procedures of a namespace.

    The beginning imports and declares what the rest is written in: `Query`, `Mutation`, `Subscription` and
    `Router`.
    """

    plain: str
    with_dates: str
    opening: str = "{"
    closing: str = "}"


_SENT = """\
/** What is JSON already: of what has a `toJSON`, tRPC takes the result as it stands. */
type Sent<T> = { toJSON(): T };
"""

_SENT_WITH_DATES = """\
/** What the transformer brings over as it is. */
type Sent<T> = T;
"""

_PREAMBLE_11 = """\
import type {
  TRPCBuiltRouter,
  TRPCDefaultErrorShape,
  TRPCMutationProcedure,
  TRPCQueryProcedure,
  TRPCRouterRecord,
  TRPCSubscriptionProcedure,
} from '@trpc/server';

%(sent)stype Query<I, O> = TRPCQueryProcedure<{ input: I; output: Sent<O>; meta: object }>;
type Mutation<I, O> = TRPCMutationProcedure<{ input: I; output: Sent<O>; meta: object }>;
type Subscription<I, O> = TRPCSubscriptionProcedure<{
  input: I;
  output: AsyncIterable<Sent<O>, void, any>;
  meta: object;
}>;
type Root = {
  ctx: object;
  meta: object;
  errorShape: TRPCDefaultErrorShape;
  transformer: %(transformer)s;
};
type Router<R extends TRPCRouterRecord> = TRPCBuiltRouter<Root, R>;
"""

_PREAMBLE_10 = """\
import type {
  %(transformer)s,
  CreateRouterInner,
  DefaultErrorShape,
  Procedure,
  ProcedureParams,
  ProcedureRouterRecord,
  ProcedureType,
  RootConfig,
} from '@trpc/server';
import type { Observable } from '@trpc/server/observable';

%(sent)stype Root = RootConfig<{
  ctx: object;
  meta: object;
  errorShape: DefaultErrorShape;
  transformer: %(transformer)s;
}>;
type Call<K extends ProcedureType, I, O> = Procedure<K, ProcedureParams<Root, object, I, I, O, O, object>>;
type Query<I, O> = Call<'query', I, Sent<O>>;
type Mutation<I, O> = Call<'mutation', I, Sent<O>>;
type Subscription<I, O> = Call<'subscription', I, Observable<Sent<O>, unknown>>;
type Router<R extends ProcedureRouterRecord> = CreateRouterInner<Root, R>;
"""

DIALECTS: Mapping[TrpcVersion, Dialect] = {
    "11": Dialect(
        plain=_PREAMBLE_11 % {"sent": _SENT, "transformer": "false"},
        with_dates=_PREAMBLE_11 % {"sent": _SENT_WITH_DATES, "transformer": "true"},
    ),
    "10": Dialect(
        plain=_PREAMBLE_10 % {"sent": _SENT, "transformer": "DefaultDataTransformer"},
        with_dates=_PREAMBLE_10 % {"sent": _SENT_WITH_DATES, "transformer": "CombinedDataTransformer"},
        opening="Router<{",
        closing="}>",
    ),
}
