"""What plugin authors import. Everything else in this package may change without notice."""

from __future__ import annotations

from adohub.errors import AdohubError, Goodbye, PeerError, PluginError, StorageError
from adohub.model import Draft, Event, Position, Principal, from_fields, now, timestamp
from adohub.plugin.contracts import (
    Action,
    Authenticator,
    Authorizer,
    Call,
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
)
from adohub.plugin.hookspecs import hookimpl
from adohub.plugin.storage import Page, Receipt, Storage, StorageEngine, StorageSettings
from adohub.topics import Selection, is_pattern
from adohub.version import __version__

__all__ = [
    "Action",
    "AdohubError",
    "Authenticator",
    "Authorizer",
    "Call",
    "Channel",
    "Credentials",
    "Draft",
    "Event",
    "Goodbye",
    "Hub",
    "Page",
    "PeerError",
    "Pending",
    "PluginError",
    "Position",
    "Principal",
    "Procedure",
    "Publish",
    "PublishRequest",
    "Receipt",
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
    "__version__",
    "from_fields",
    "hookimpl",
    "is_pattern",
    "now",
    "timestamp",
]
