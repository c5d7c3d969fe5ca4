"""Plugins written down by a test: as files of a folder, or as installed distributions."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from attrs import evolve, frozen

from adohub.config import Config, DeclaredChannel, Plugins, Topics
from adohub.errors import ConfigError
from adohub.plugin.loader import load
from adohub.plugin.registry import Contribution, PluginRecord, Registry

PRELUDE = """
import attrs
import trio
from adohub import *
from adohub import hookimpl
"""

LISTING = Path(__file__).parent / "contract_listing" / "garden.py.txt"
"""The plugin that the contract prints, as it stands."""


@frozen
class Workshop:
    """A folder of plugins, a folder that is on the path, and a configuration that knows both."""

    place: Path
    patch: pytest.MonkeyPatch

    @property
    def folder(self) -> Path:
        folder = self.place / "plugins"
        folder.mkdir(exist_ok=True)
        return folder

    def file(self, name: str, source: str, *, prelude: str = PRELUDE) -> Path:
        """A single-file plugin in the folder."""
        path = self.folder / f"{name}.py"
        path.write_text(prelude + dedent(source))
        return path

    def install(self, name: str, source: str, *, distribution: str = "", prelude: str = PRELUDE) -> None:
        """A distribution of one module, with the entry point `name`."""
        distribution = distribution or f"adohub-{name}"
        module = distribution.replace("-", "_")
        site = self.place / "site"
        site.mkdir(exist_ok=True)
        (site / f"{module}.py").write_text(prelude + dedent(source))
        info = site / f"{module}-2.5.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 2.5\n")
        self.entry_point(name, module, distribution)
        if str(site) not in sys.path:
            self.patch.syspath_prepend(site)
        self.patch.delitem(sys.modules, module, raising=False)

    def entry_point(self, name: str, value: str, distribution: str) -> None:
        """One more entry point of an installed distribution."""
        info = self.place / "site" / f"{distribution.replace('-', '_')}-2.5.dist-info"
        with (info / "entry_points.txt").open("a") as file:
            if file.tell() == 0:
                file.write("[adohub]\n")
            file.write(f"{name} = {value}\n")

    def config(
        self,
        *,
        strict: bool = False,
        disabled: tuple[str, ...] = (),
        plugin: Mapping[str, Mapping[str, Any]] | None = None,
        channels: Mapping[str, DeclaredChannel] | None = None,
        allow_undeclared: bool = False,
    ) -> Config:
        return Config(
            plugins=Plugins(directories=(str(self.folder),), disabled=disabled, strict=strict),
            plugin=plugin or {},
            channels=channels or {},
            topics=Topics(allow_undeclared=allow_undeclared),
        )

    def load(self, config: Config | None = None, **settings: Any) -> Registry:
        return load(config or self.config(**settings), source="adohub.toml")

    def problems(self, config: Config | None = None, **settings: Any) -> list[str]:
        """The problems of a configuration that cannot be loaded, as an operator reads them."""
        with pytest.raises(ConfigError) as refusal:
            self.load(config, **settings)
        return [str(problem) for problem in refusal.value.problems]

    def error(self, name: str, **settings: Any) -> str:
        """Why the plugin `name` is left out; the built-ins and the plugin `healthy` must not suffer."""
        if "healthy" not in (name, *settings.get("disabled", ())):
            self.file("healthy", HEALTHY)
        registry = self.load(**settings)
        assert "task.progress" in registry.topics
        assert record(registry, "healthy").status == "loaded"
        assert "healthy.topic" in registry.topics
        failed = record(registry, name)
        assert failed.status == "failed"
        assert name not in {one.plugin for one in registry.contributions}
        return failed.error

    def with_folder(self, config: Config, *folders: Path) -> Config:
        return evolve(config, plugins=evolve(config.plugins, directories=tuple(map(str, folders))))


HEALTHY = """
@hookimpl
def adohub_topics(config):
    return [Topic("healthy.topic")]
"""


def record(registry: Registry, name: str) -> PluginRecord:
    """The one record of this plugin."""
    [found] = (one for one in registry.plugins if one.name == name)
    return found


def contribution(registry: Registry, name: str) -> Contribution:
    """What this plugin gave."""
    [found] = (one for one in registry.contributions if one.plugin == name)
    return found
