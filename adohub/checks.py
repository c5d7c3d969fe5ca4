"""What of a configuration only shows on the machine that it is for, with the plugins that are there.

Law: what is wrong is told before anything is opened, by the key that has to change; `config check` asks the
same.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import structlog

from adohub.config import Config
from adohub.errors import ConfigError, Problem
from adohub.hub.authentication import ANONYMOUS
from adohub.net.listener import is_loopback
from adohub.net.tls import Certificate
from adohub.plugin.registry import Registry
from adohub.plugin.storage import Storage, StorageEngine, Unshared

_log = structlog.get_logger("adohub.daemon")


def check_exposure(config: Config, registry: Registry, hosts: Sequence[str] | None = None) -> None:
    """Refuse to serve strangers by accident. Raises ConfigError: a public address, no authenticator.

    `hosts` are the addresses if they are given from outside, and not by the configuration.
    """
    setting, hosts = ("server.host", [config.server.host]) if hosts is None else ("LISTEN_FDS", hosts)
    public = [host for host in hosts if not is_loopback(host)]
    if not public or registry.authenticators:
        return
    if not config.auth.allow_anonymous:
        message = (
            f"other machines can reach {public[0]}, and nothing tells who connects;"
            " configure [[auth.tokens]], set auth.allow_anonymous = true, or use 127.0.0.1"
        )
        raise ConfigError([Problem("", setting, message)])
    if ANONYMOUS not in config.auth.roles:
        _log.warning(
            "anonymous peers may only ask for hub.health; give them rights in [auth.roles.anonymous]"
        )


def certificate(config: Config) -> Certificate | None:
    """What `[server] tls_cert` and `tls_key` hold, if they are set. Raises ConfigError."""
    server = config.server
    return Certificate(Path(server.tls_cert), Path(server.tls_key)) if server.tls_cert else None


def check_certificate(config: Config, _: Registry) -> None:
    """Raises ConfigError for a certificate that cannot be used."""
    certificate(config)


def check_peers(config: Config, _: Registry) -> None:
    """Raises ConfigError for each user or group of `[[auth.peers]]` that this machine does not know."""
    problems: list[Problem] = []
    for number, peer in enumerate(config.auth.peers):
        for what in ("user", "group"):
            try:
                peer.uid if what == "user" else peer.gid  # noqa: B018 - looked up
            except LookupError:
                message = f'there is no {what} "{getattr(peer, what)}" on this machine'
                problems.append(Problem("", f"auth.peers[{number}].{what}", message))
    if problems:
        raise ConfigError(problems)


def is_trusted(hosts: Sequence[str], registry: Registry) -> bool:
    """Whether whoever can connect by TCP, at `hosts`, is trusted, if nothing tells who that is.

    Not if what was to tell could not be loaded: then nobody gets in.
    """
    missing = [plugin.name for plugin in registry.plugins if plugin.may_authenticate]
    if missing:
        _log.error(
            "nobody is let in without a credential: a plugin that checks them is missing", plugins=missing
        )
    return all(map(is_loopback, hosts)) and not missing


def check_sharing(config: Config, storage: Storage) -> None:
    """Warn if hubs share a port and no events: who comes back would find another hub's."""
    if config.server.reuse_port and isinstance(storage, Unshared):
        _log.warning(
            "hubs that share a port need a storage engine that they share, too: with this one each has events"
            " of its own, and clients meet one or the other",
            engine=config.storage.engine,
        )


def check_engine(config: Config, registry: Registry) -> StorageEngine:
    """The storage engine that `config` asks for. Raises ConfigError if no plugin brings it."""
    name = config.storage.engine
    engine = registry.storage_engines.get(name)
    if engine is None:
        known = ", ".join(f'"{one}"' for one in sorted(registry.storage_engines)) or "none"
        message = f'no plugin brings the storage engine "{name}"; there is {known}'
        raise ConfigError([Problem("", "storage.engine", message)])
    return engine
