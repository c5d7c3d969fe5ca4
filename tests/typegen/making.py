"""Offers for tests: of the built-in plugins, with or without one whose types hold something of everything."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from adohub.config import Config, DeclaredChannel, Plugins, Server, Topics
from adohub.plugin.contracts import Channel, Procedure, Topic
from adohub.plugin.loader import load
from adohub.plugin.registry import Contribution, Registry
from adohub.typegen import Offer, offer

EVERY = Path(__file__).with_name("every.py")


def config(
    folder: Path | None = None,
    *,
    transformer: Literal["none", "superjson"] = "none",
    allow_undeclared: bool = False,
) -> Config:
    """A configuration without installed plugins; with a `folder` also that file's plugin and a TOML channel.

    The file is copied there: it is a plugin like any other, and not the module that tests import.
    """
    channels = {}
    if folder is not None:
        (folder / "plugins").mkdir(exist_ok=True)
        (folder / "plugins" / "every.py").write_text(EVERY.read_text())
        channels["deploy.onRelease"] = DeclaredChannel(topics=("deploy.release",), key="env")
    return Config(
        server=Server(transformer=transformer),
        plugins=Plugins(directories=(str(folder / "plugins"),) if folder else (), disabled=("notes",)),
        topics=Topics(allow_undeclared=allow_undeclared),
        channels=channels,
    )


def offered(config: Config) -> Offer:
    """What a hub of `config` offers, all of whose plugins must be in order."""
    registry = load(config)
    assert [plugin.error for plugin in registry.plugins if plugin.error] == []
    return offer(registry, config)


def offer_of(
    topics: Sequence[Topic] = (), channels: Sequence[Channel] = (), procedures: Sequence[Procedure] = ()
) -> Offer:
    """What a hub offers whose only plugin gives these."""
    return offer(Registry([Contribution("x", topics, channels, procedures)]), Config())
