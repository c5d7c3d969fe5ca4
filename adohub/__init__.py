"""What plugin authors import. Everything else in this package may change without notice."""

from __future__ import annotations

from adohub.errors import AdohubError, Goodbye, PeerError, PluginError, StorageError
from adohub.model import EXISTS, Draft, Event, Position, Principal, from_fields, now, size_of, timestamp
from adohub.plugin.contracts import (
    Action,
    Authenticator,
    Authorizer,
    Call,
    Change,
    Channel,
    Credentials,
    Hub,
    Pending,
    Procedure,
    Publish,
    PublishRequest,
    Route,
    RouteRequest,
    RouteResponse,
    Source,
    Submission,
    Topic,
    WholeEvent,
)
from adohub.plugin.history import History
from adohub.plugin.hookspecs import hookimpl
from adohub.plugin.newest import Place, Record
from adohub.plugin.repeats import Repeats
from adohub.plugin.storage import (
    Located,
    Neighbour,
    Newest,
    Page,
    Receipt,
    Rejection,
    Storage,
    StorageEngine,
    StorageSettings,
    Unshared,
)
from adohub.topics import Selection, is_pattern
from adohub.version import __version__

__all__ = [
    "EXISTS",
    "Action",
    "AdohubError",
    "Authenticator",
    "Authorizer",
    "Call",
    "Change",
    "Channel",
    "Credentials",
    "Draft",
    "Event",
    "Goodbye",
    "History",
    "Hub",
    "Located",
    "Neighbour",
    "Newest",
    "Page",
    "PeerError",
    "Pending",
    "Place",
    "PluginError",
    "Position",
    "Principal",
    "Procedure",
    "Publish",
    "PublishRequest",
    "Receipt",
    "Record",
    "Rejection",
    "Repeats",
    "Route",
    "RouteRequest",
    "RouteResponse",
    "Selection",
    "Source",
    "Storage",
    "StorageEngine",
    "StorageError",
    "StorageSettings",
    "Submission",
    "Topic",
    "Unshared",
    "WholeEvent",
    "__version__",
    "from_fields",
    "hookimpl",
    "is_pattern",
    "now",
    "size_of",
    "timestamp",
]
