"""What classes are called outside: their own names, as far as no two are called the same.

The names depend on the classes alone, not on which plugin was asked first. adohub's own classes come first;
of others that share a name each is called after its module, too.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from attrs import field, frozen

from adohub.typegen.shapes import (
    AllOf,
    AnyOf,
    Definition,
    ListOf,
    MapOf,
    ObjectOf,
    Part,
    Ref,
    RowOf,
    Shape,
    Tracked,
    sent_shape,
)

_OURS = """
    AppRouter AsyncIterable Call Date EventInputs Events HubEvent Mutation Partial PublishRequest Query Record
    Root Router Sent Subscription Tracked UndeclaredEvent UndeclaredPublishRequest schemaHash

    CombinedDataTransformer CreateRouterInner DefaultDataTransformer DefaultErrorShape Observable Procedure
    ProcedureParams ProcedureRouterRecord ProcedureType RootConfig TRPCBuiltRouter TRPCDefaultErrorShape
    TRPCMutationProcedure TRPCQueryProcedure TRPCRouterRecord TRPCSubscriptionProcedure
"""

_TYPESCRIPT = """
    any as async await bigint boolean break case catch class const continue debugger declare default delete do
    else enum export extends false finally for from function get if implements import in infer instanceof
    interface is keyof let module namespace never new null number object of package private protected public
    readonly require return set static string super switch symbol this throw true try type typeof undefined
    unique unknown var void while with yield
"""

RESERVED = frozenset(re.findall(r"\w+", _OURS + _TYPESCRIPT))
"""What a class cannot be called: words of TypeScript, and what the generated module calls its own things."""


@frozen
class Names:
    """What each class is called as it comes `out` and as it goes `into` the hub: the same where it is so."""

    out: dict[type[Any], str] = field(factory=dict)
    into: dict[type[Any], str] = field(factory=dict)


def name_all(
    definitions: Sequence[Definition], out: Collection[type[Any]], into: Collection[type[Any]]
) -> Names:
    """Names for the classes that come `out`, and for those that go `into` the hub."""
    classes = [definition.cls for definition in definitions]
    plain = dict(zip(classes, _distinct(classes), strict=True))
    differing = _differing(definitions) & set(out)
    taken = {*plain.values(), *RESERVED}
    names = Names({cls: plain[cls] for cls in classes if cls in out})
    for cls in sorted(into, key=plain.__getitem__):
        names.into[cls] = _free(f"{plain[cls]}Input", taken) if cls in differing else plain[cls]
    return names


def references(shape: Shape) -> Iterable[type[Any]]:
    """The classes that `shape` refers to itself."""
    match shape:
        case Ref(cls):
            yield cls
        case ListOf(inner) | Tracked(inner):
            yield from references(inner)
        case MapOf(key, value):
            yield from (*references(key), *references(value))
        case RowOf(members) | AnyOf(members) | AllOf(members):
            for member in members:
                yield from references(member)
        case ObjectOf(parts):
            for part in parts:
                yield from references(part.shape)


# ── what differs ─────────────────────────────────────────────────────────────────────────────────────────


def _differing(definitions: Sequence[Definition]) -> set[type[Any]]:
    """The classes that come out otherwise than they go in, or that hold one of which this is so."""
    found = {each.cls for each in definitions if any(map(_differs, each.parts))}
    while True:
        more = {
            each.cls
            for each in definitions
            if any(not found.isdisjoint(references(part.shape)) for part in each.parts)
        }
        if more <= found:
            return found
        found |= more


def _differs(part: Part) -> bool:
    return part.required != part.sent or part.shape != sent_shape(part)


# ── what is called alike ─────────────────────────────────────────────────────────────────────────────────


def _distinct(classes: Sequence[type[Any]]) -> list[str]:
    """A name for each class: the first of its ways to be called that it shares with no other."""
    names = list(map(_own, classes))
    for longer in (_nested, _from_module):
        shared = _shared(names)
        names = [
            longer(cls) if name in shared and (name in RESERVED or not _is_ours(cls)) else name
            for cls, name in zip(classes, names, strict=True)
        ]
    taken = set(RESERVED)
    return [_free(name, taken) for name in names]


def _shared(names: Sequence[str]) -> set[str]:
    return {name for name, count in Counter(names).items() if count > 1 or name in RESERVED}


def _is_ours(cls: type[Any]) -> bool:
    return cls.__module__.split(".")[0] == "adohub"


def _own(cls: type[Any]) -> str:
    return _identifier(cls.__name__)


def _nested(cls: type[Any]) -> str:
    """Its name after that of the class or function it is in."""
    return _identifier("".join(map(_capital, cls.__qualname__.replace("<locals>.", "").split("."))))


def _from_module(cls: type[Any]) -> str:
    """Its name after those of its module and of what it is in."""
    module = cls.__module__.rpartition(".")[2].removeprefix("adohub_plugin_")
    words = re.split(r"[\W_]+", module)
    return _identifier("".join(map(_capital, words))) + _nested(cls)


def _capital(word: str) -> str:
    return word[:1].upper() + word[1:]


def _identifier(text: str) -> str:
    return re.sub(r"\W", "_", text) if text[:1].isalpha() else "_" + re.sub(r"\W", "_", text)


def _free(name: str, taken: set[str]) -> str:
    """`name`, or with the first number behind it that nobody has; it is `taken` from then on."""
    number, found = 1, name
    while found in taken:
        number += 1
        found = f"{name}{number}"
    taken.add(found)
    return found
