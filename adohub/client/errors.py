"""What can go wrong between a client and its hub, typed by what the caller can do about it.

    AdohubError
        BadAddress       correct the URL
        Unreachable      start the hub, or try later: there has been no connection yet
        ConnectionLost   decide whether to ask again: the hub may have acted, its answer is lost

A hub's refusal is `adohub.errors.PeerError`, with the hub's own words.
"""

from __future__ import annotations

from adohub.errors import AdohubError


class BadAddress(AdohubError):
    """This text is no address of a hub. `str()` is one line for the user."""


class Unreachable(AdohubError):
    """The connection could not be made. `str()` is one line for the user."""


class ConnectionLost(AdohubError):
    """The connection broke before the answer came. It may have been acted on, and is not sent again."""
