"""Where `[server] websocket = "trio-websocket"` departs from RFC 6455, and why. `native` does nowhere.

All of it is wsproto's and trio-websocket's doing, harms nobody, and is no reason to leave the reference host.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from attrs import frozen

from adohub.wire.websocket import CLOSE_TOO_BIG
from tests.conformance.exchanges import WAITING, Exchange, code

Judge = Callable[[str, Exchange], bool]


@frozen
class Difference:
    """What is heard `instead` of the close frame, in the exchanges that it `meets` by name."""

    why: str
    meets: Judge
    instead: Sequence[str]


def _is_hopeless_surrogate(name: str, exchange: Exchange) -> bool:
    return "surrogate" in name and "in the middle" in name


def _is_announced_only(name: str, exchange: Exchange) -> bool:
    return exchange.heard[-1] == code(CLOSE_TOO_BIG) and ("header" in name or "would be" in name)


def _is_1014(name: str, exchange: Exchange) -> bool:
    return name == "code 1014"


def _is_fault(name: str, exchange: Exchange) -> bool:
    return exchange.heard[-1] in (code(1002), code(1007)) and exchange.is_fault


DIFFERENCES = (
    Difference(
        "section 8.1: CPython's decoder, which wsproto asks, waits for the third byte of a surrogate",
        _is_hopeless_surrogate,
        [WAITING],
    ),
    Difference(
        "section 7.4.1, 1009: trio-websocket measures what has come, not what a header announces",
        _is_announced_only,
        [WAITING],
    ),
    Difference(
        "section 7.4.2: wsproto does not know 1014, which IANA has assigned since; it takes it for a fault",
        _is_1014,
        [],
    ),
    Difference(
        "section 7.1.7: the connection is failed, but without the close frame that SHOULD be sent first",
        _is_fault,
        [],
    ),
)
"""The first that meets an exchange counts."""


def met(name: str, exchange: Exchange) -> Difference | None:
    """The difference that is known of this exchange."""
    return next((each for each in DIFFERENCES if each.meets(name, exchange)), None)


def heard_by_trio_websocket(name: str, exchange: Exchange) -> Sequence[str]:
    """What is heard of a hub with that host."""
    difference = met(name, exchange)
    return exchange.heard if difference is None else [*exchange.heard[:-1], *difference.instead]
