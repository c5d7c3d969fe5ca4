"""What an attrs validator has against a value, in the reader's words instead of the validator's own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from itertools import islice
from typing import Any

import attrs
from attrs import validators

from adohub.structuring.faults import MOST_FOUND, Flaw, flaws_of, shown

# attrs keeps the classes of its validators private, but not what its functions return.
_ALL: type[Any] = type(validators.and_())
_OPTIONAL: type[Any] = type(validators.optional(validators.ge(0)))
_EACH: type[Any] = type(validators.deep_iterable(validators.ge(0)))
_BOUND: type[Any] = type(validators.ge(0))
_LONGEST: type[Any] = type(validators.max_len(0))
_SHORTEST: type[Any] = type(validators.min_len(0))
_CHOICE: type[Any] = type(validators.in_(()))
_PATTERN: type[Any] = type(validators.matches_re(""))

_BOUNDS = {">=": "at least", "<=": "at most", ">": "more than", "<": "less than"}


def objections(validator: Any, instance: Any, attribute: attrs.Attribute[Any], value: Any) -> Sequence[Flaw]:
    """Every flaw that `validator` finds in `value`, that of `attribute`; `instance` may be incomplete."""
    if isinstance(validator, _ALL):
        parts: tuple[Any, ...] = getattr(validator, "_validators", ())
        return next(filter(None, (objections(part, instance, attribute, value) for part in parts)), ())
    if isinstance(validator, _OPTIONAL):
        return () if value is None else objections(validator.validator, instance, attribute, value)
    if isinstance(validator, _EACH):
        return _objections_to_items(validator, instance, attribute, value)
    try:
        validator(instance, attribute, value)
    except (ValueError, TypeError) as error:
        words = _WORDS.get(type(validator))
        return (Flaw(f"expected {words(validator, value)}", (value,)),) if words else flaws_of(error)
    return ()


def _objections_to_items(
    validator: Any, instance: Any, attribute: attrs.Attribute[Any], value: Any
) -> Sequence[Flaw]:
    if validator.iterable_validator is not None:
        whole = objections(validator.iterable_validator, instance, attribute, value)
        if whole:
            return whole
    found = (
        flaw.under(index)
        for index, item in enumerate(value)
        for flaw in objections(validator.member_validator, instance, attribute, item)
    )
    return list(islice(found, MOST_FOUND))


def _counted(count: int, value: Any) -> str:
    unit = "character" if isinstance(value, str) else "byte" if isinstance(value, bytes) else "item"
    return f"{count} {unit}{'' if count == 1 else 's'}"


def _choices(validator: Any, _: Any) -> str:
    given = getattr(validator, "_original_options", validator.options)
    texts = map(shown, given)
    return "one of " + ", ".join(sorted(texts) if isinstance(given, Set) else texts)


_WORDS: Mapping[type, Callable[[Any, Any], str]] = {
    _BOUND: lambda validator, _: f"{_BOUNDS[validator.compare_op]} {validator.bound}",
    _LONGEST: lambda validator, value: f"at most {_counted(validator.max_length, value)}",
    _SHORTEST: lambda validator, value: f"at least {_counted(validator.min_length, value)}",
    _CHOICE: _choices,
    _PATTERN: lambda validator, _: f"string matching {validator.pattern.pattern}",
}
