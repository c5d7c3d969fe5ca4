"""One structurer, two namings: `wire` for JSON, camelCase and forgiving; `strict` for TOML, as written."""

from __future__ import annotations

import base64
import marshal
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

import attrs
import orjson
from cattrs import Converter
from cattrs.gen import make_dict_unstructure_fn, override

from adohub.model import timestamp
from adohub.notes import NOTED
from adohub.structuring.careful import REFUSED, CarefulReader
from adohub.structuring.faults import Fault, Refusal, StructureError
from adohub.structuring.leaves import Hook
from adohub.structuring.marks import Marks, Varying, marks
from adohub.structuring.readers import STOPPED, Member, QuickReader
from adohub.structuring.recogniser import Recogniser, recogniser

T = TypeVar("T")


def own_name(attribute: str) -> str:
    """The key of `attribute` in TOML: its name, without underscores that only hide or escape it (`type_`)."""
    return attribute.strip("_")


def wire_name(attribute: str) -> str:
    """The key of `attribute` on the wire: `task_id` is `taskId`, `type_` is `type`."""
    first, *rest = own_name(attribute).split("_")
    return first + "".join(part[:1].upper() + part[1:] for part in rest)


class Structurer:
    """Reads and writes typed objects whose keys are `key(attribute)`.

    Values may be of any type that JSON has a form for: str, int, float (an int stays one), bool, None, Any,
    literals, enums, unions, lists, tuples, sequences, mappings, attrs classes, datetime (ISO 8601), bytes
    (base64). `closed` makes unknown keys faults; else they are ignored.
    """

    def __init__(self, key: Callable[[str], str], *, closed: bool) -> None:
        self._quick = QuickReader(key, closed=closed)
        self._careful = CarefulReader(key, closed=closed, quick=self._quick)
        self._writer = _writer(key)

    def structure(self, value: object, type_: type[T]) -> T:
        """`value` as a `type_`.

        Raises `StructureError` with every fault; `TypeError` if `type_` is or holds a type without JSON form.
        """
        return self.compile(type_)(value)

    def compile(self, type_: type[T]) -> Callable[[object], T]:
        """`structure` for one type, resolved once: for what runs per message. Raises `TypeError` like it."""
        quick = self._quick.hook(type_)
        careful = self._careful.hook(type_)

        def structure(value: object) -> T:
            try:
                return quick(value, None)  # type: ignore[no-any-return]
            except STOPPED:
                pass  # and explained where this is no longer being handled
            return _explain(careful, value)  # type: ignore[no-any-return]

        return structure

    def recogniser(self, type_: type[Any]) -> Recogniser:
        """Tells what reading and writing would only give back as it is (see there)."""
        return recogniser(type_, self._quick.members(type_))

    def marks(self, type_: Any, varying: Varying | None = None) -> Marks:
        """Where the type has times and octets, resolved once. Raises `TypeError` like `structure`."""
        return marks(type_, self._quick, varying)

    def members(self, cls: type[Any]) -> Sequence[Member]:
        """What objects of the attrs class `cls` are made of, under their keys. Raises `TypeError`."""
        return self._quick.members(cls)

    def unstructure(self, value: object) -> Any:
        """`value` in JSON's types: times as UTC text, bytes as base64, no None where None is the default."""
        return self._writer.unstructure(value)

    def writer(self, type_: type[T]) -> Callable[[T], Any]:
        """`unstructure` for instances of one type, resolved once."""
        return self._writer.get_unstructure_hook(type_)


def _explain(careful: Hook, value: object) -> Any:
    try:
        return careful(value, REFUSED)
    except Refusal as refusal:
        raise StructureError(flaw.fault() for flaw in refusal.flaws) from None
    except RecursionError:
        raise StructureError([Fault((), "nested too deeply")]) from None


def _writer(key: Callable[[str], str]) -> Converter:
    converter = Converter(unstruct_collection_overrides={Sequence: list, Mapping: dict})
    converter.register_unstructure_hook(datetime, timestamp)
    converter.register_unstructure_hook(bytes, lambda octets: base64.b64encode(octets).decode("ascii"))
    for noted in NOTED:
        converter.register_unstructure_hook(noted, lambda value: value)

    def anything(value: Any) -> Any:
        if value.__class__ in (dict, list) and _is_plain(value):
            return value
        return converter.unstructure(value)

    converter.register_unstructure_hook_func(lambda type_: type_ is Any, anything)

    @converter.register_unstructure_hook_factory(attrs.has)
    def of_class(cls: type[Any]) -> Callable[[Any], dict[str, Any]]:
        attrs.resolve_types(cls)
        overrides: dict[str, Any] = {
            attribute.name: override(rename=key(attribute.name), omit_if_default=attribute.default is None)
            for attribute in attrs.fields(cls)
        }
        return make_dict_unstructure_fn(cls, converter, **overrides)

    return converter


_NOTHING_BUT_JSON = (
    orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_SUBCLASS
)


def _is_plain(value: Any) -> bool:
    """Whether `value` is in JSON's types all through, as what a peer has sent.

    To tell is thirty times as fast as to write it anew, which of a megabyte takes a third of a second.
    """
    try:
        orjson.dumps(value, None, _NOTHING_BUT_JSON)
        marshal.dumps(value)  # refuses enumerations, which orjson takes; and takes octets, which that refuses
    except (TypeError, ValueError):
        return False
    return True


wire = Structurer(wire_name, closed=False)
"""JSON: camelCase keys; unknown ones are ignored, so that newer clients can talk to an older hub."""

strict = Structurer(own_name, closed=True)
"""TOML: the attributes' own names; an unknown key is a fault, so that no typo passes silently."""
