"""The careful reader is the law of what a type accepts: it reads on after a fault, and tells all of them.

It takes thirty times as long as the quick one, and nobody else is served meanwhile. So that a message of a
megabyte is explained nearly as fast as it is read, objects that the quick reader reads are not examined, and
after MOST_FOUND faults of a list the rest of it is not looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import attrs
from attrs import Converter, Factory, define, evolve, field

from adohub.structuring.constraints import objections
from adohub.structuring.faults import MOST_FOUND, Flaw, Refusal, did_you_mean, flaws_of, gathering, wanted
from adohub.structuring.leaves import Hook
from adohub.structuring.readers import STOPPED, Build, Member, Reader

REFUSED = object()
"""A careful hook's second argument for a value that the quick reader has refused already."""


class CarefulReader(Reader):
    """Every part is read, whatever the part before it was like; by `quick`, if it is given and can."""

    def __init__(self, key: Callable[[str], str], *, closed: bool, quick: Reader | None = None) -> None:
        super().__init__(key, closed=closed)
        self._quick = quick

    def of_class(self, cls: type[Any], members: Sequence[Member]) -> Hook:
        """An examination: every attribute, then every validator, then the class itself."""
        quick = None if self._quick is None else self._quick.hook(cls)

        def read(value: Any, known: Any) -> Any:
            if quick is not None and known is not REFUSED:
                with suppress(*STOPPED):
                    return quick(value, None)
            return _Examination(cls, members, _object(value)).verdict(closed=self.closed)

        return read

    def of_items(self, hooks: Iterable[Hook], build: Build) -> Hook:
        """Every item."""

        def read(value: Any, _: Any) -> Any:
            if not isinstance(value, list | tuple):
                raise wanted("list", value)
            flaws: list[Flaw] = []
            items = []
            for index, (item, hook) in enumerate(zip(value, hooks, strict=False)):
                try:
                    items.append(hook(item, None))
                except (ValueError, TypeError) as error:
                    flaws += (flaw.under(index) for flaw in flaws_of(error))
                    if len(flaws) >= MOST_FOUND:
                        break
            return _unless(flaws, build(items))

        return read

    def of_pairs(self, key: Hook, value: Hook) -> Hook:
        """Every pair."""

        def read(given: Any, _: Any) -> Any:
            flaws: list[Flaw] = []
            pairs = {}
            for name, item in _object(given).items():
                try:
                    pairs[key(name, None)] = value(item, None)
                except (ValueError, TypeError) as error:
                    flaws += (flaw.under(str(name)) for flaw in flaws_of(error))
                    if len(flaws) >= MOST_FOUND:
                        break
            return _unless(flaws, pairs)

        return read


def _object(value: Any) -> Mapping[Any, Any]:
    if not isinstance(value, Mapping):
        raise wanted("object", value)
    return value


def _unless(flaws: Sequence[Flaw], result: Any = None) -> Any:
    if flaws:
        raise Refusal(*flaws)
    return result


@define
class _Examination:
    """One object read into one class.

    The `draft` is an instance that its constructor never saw: it holds what could be read so far, so that a
    validator that compares its attribute with a neighbour finds the neighbour there.
    """

    cls: type[Any]
    members: Sequence[Member]
    given: Mapping[Any, Any]
    draft: Any = field(init=False)
    arguments: dict[str, Any] = field(init=False, factory=dict)
    flaws: list[Flaw] = field(init=False, factory=list)

    def verdict(self, *, closed: bool) -> Any:
        """The instance, or a refusal with every flaw; unknown keys are flaws where the reader is `closed`."""
        self.draft = object.__new__(self.cls)
        for member in self.members:
            with self._judging(member):
                self._read(member)
        for member in self.members:
            with self._judging(member):
                self._validate(member)
        if closed:
            self._find_unknown()
        if not self.flaws:
            with gathering(self.flaws):
                return self.cls(**self.arguments)
        raise Refusal(*self.flaws)

    @contextmanager
    def _judging(self, member: Member) -> Iterator[None]:
        found: list[Flaw] = []
        with gathering(found, member.key):
            yield
        if member.secret:
            found = [_veiled(flaw, self.given.get(member.key)) for flaw in found]
        self.flaws += found

    def _read(self, member: Member) -> None:
        attribute = member.attribute
        if member.key in self.given:
            value = self.arguments[member.argument] = member.hook(self.given[member.key], None)
        elif member.required:
            raise Refusal(Flaw("required"))
        else:
            value = _default(attribute, self.draft)
        object.__setattr__(self.draft, attribute.name, _converted(attribute, value, self.draft))

    def _validate(self, member: Member) -> None:
        """Only what could be read, and as far as its neighbours could be: they have flaws of their own."""
        attribute = member.attribute
        if attribute.validator is not None and hasattr(self.draft, attribute.name):
            value = getattr(self.draft, attribute.name)
            with suppress(AttributeError):
                _unless(objections(attribute.validator, self.draft, attribute, value))

    def _find_unknown(self) -> None:
        known = [member.key for member in self.members]
        for key in map(str, self.given):
            if key not in known:
                self.flaws.append(Flaw(f"unknown key{did_you_mean(key, known)}", path=(key,)))


_TELLING = 3
"""Characters that a secret may share with a message by chance."""


def _default(attribute: attrs.Attribute[Any], draft: Any) -> Any:
    default: Any = attribute.default
    if isinstance(default, Factory):  # type: ignore[arg-type]
        return default.factory(draft) if default.takes_self else default.factory()
    return default


def _converted(attribute: attrs.Attribute[Any], value: Any, draft: Any) -> Any:
    converter: Any = attribute.converter
    if isinstance(attribute.converter, Converter):
        return converter(value, draft, attribute)
    return value if converter is None else converter(value)


def _veiled(flaw: Flaw, secret: Any) -> Flaw:
    """`flaw` without the value it was found in, not even quoted by a validator's own words."""
    told = any(len(leaf) > _TELLING and leaf in flaw.message for leaf in _leaves(secret))
    return evolve(flaw, got=(), message="not valid" if told else flaw.message)


def _leaves(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        value = [*value.values()]
    if isinstance(value, list | tuple):
        for item in value:
            yield from _leaves(item)
    else:
        yield str(value)
