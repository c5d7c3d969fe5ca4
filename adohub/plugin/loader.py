"""Discovers, checks, configures and asks every plugin once, and freezes the answers into a Registry.

One broken plugin is named and left out; the others load. Only with `[plugins] strict = true`, or when the
operator's own configuration of a plugin is wrong, does loading itself fail.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import attrs
import pluggy
from attrs import evolve, frozen

from adohub.config import Config, DeclaredChannel
from adohub.errors import ConfigError, PluginError, Problem
from adohub.plugin import hookspecs
from adohub.plugin.contracts import Authenticator, Channel, Procedure, Route, Source, Topic
from adohub.plugin.discovery import Found, discover
from adohub.plugin.hookspecs import PROJECT
from adohub.plugin.registry import Contribution, PluginRecord, PluginStatus, Registry
from adohub.plugin.storage import StorageEngine
from adohub.structuring import Fault, StructureError, did_you_mean, path_text, strict, wire
from adohub.topics import is_wild

HOOKS: Sequence[str] = tuple(name for name in vars(hookspecs) if name.startswith("adohub_"))

_TRACE = os.environ.get("ADOHUB__TRACE_PLUGINS") == "1"
"""Whether to say on stderr who answered which hook."""

_CORE_TABLES: Mapping[str, Callable[[Config], object]] = {"tokens": lambda config: config.auth.tokens}
"""Built-ins whose table the contract places outside `[plugin.NAME]`, and where it is."""

_COLLECTED: Mapping[str, tuple[str, type[Any]]] = {
    "adohub_topics": ("topics", Topic),
    "adohub_channels": ("channels", Channel),
    "adohub_procedures": ("procedures", Procedure),
    "adohub_sources": ("sources", Source),
    "adohub_authenticators": ("authenticators", Authenticator),
    "adohub_authorizers": ("authorizers", object),
    "adohub_storage_engines": ("storage_engines", StorageEngine),
    "adohub_http_routes": ("routes", Route),
}
"""For each collecting hook: the Contribution's field, and what it must be made of."""


@frozen
class _Plugin:
    found: Found
    hooks: Sequence[str]
    config: object = None


def load(config: Config, *, source: str = "configuration") -> Registry:
    """Every plugin that `config` allows, asked once. `source` names the file in problems.

    Raises ConfigError for wrong `[plugin.NAME]` tables (all at once), PluginError under `strict`.
    """
    return _Loading(config, source).run()


class _Loading:
    def __init__(self, config: Config, source: str) -> None:
        self._config = config
        self._source = source
        self._manager = pluggy.PluginManager(PROJECT)
        self._manager.add_hookspecs(hookspecs)
        self._records: list[PluginRecord] = []

    def run(self) -> Registry:
        plugins = list(self._admitted())
        self._check_tables()
        contributions: list[Contribution] = []
        for plugin in self._configured(plugins):
            try:
                contributions.append(_unclaimed(self._ask(plugin), contributions))
            except PluginError as error:
                self._fail(plugin.found, error)
        contributions = self._without_dangling(contributions)
        declared = declared_in_toml(self._config.channels, contributions)
        return Registry((*contributions, _unclaimed(declared, contributions)), tuple(self._records))

    # ── discovering and registering ──────────────────────────────────────────────────────────────────

    def _admitted(self) -> Iterator[_Plugin]:
        names: dict[str, str] = {}
        directories = [Path(directory) for directory in self._config.plugins.directories]
        for found in discover(directories, self._config.plugins.disabled):
            try:
                plugin = self._register(found, names)
            except PluginError as error:
                self._fail(found, error)
            else:
                status: PluginStatus = "loaded" if plugin else "disabled"
                hooks = plugin.hooks if plugin else ()
                self._records.append(
                    PluginRecord(found.name, found.origin, found.version, status, hooks=hooks)
                )
                if plugin:
                    yield plugin

    def _register(self, found: Found, names: dict[str, str]) -> _Plugin | None:
        other = names.setdefault(found.name, found.origin)
        if other != found.origin:
            raise PluginError(found.name, f"{other} and {found.origin} both bring a plugin of this name")
        if found.error:
            raise found.error
        if found.module is None:
            return None
        _check_spelling(found.name, found.module)
        try:
            self._manager.register(found.module, found.name)
        except pluggy.PluginValidationError as error:
            self._manager.unregister(found.module)
            raise PluginError(found.name, _first_line(error)) from error
        hooks = [caller.name for caller in self._manager.get_hookcallers(found.module) or ()]
        return _Plugin(found, tuple(hooks))

    def _fail(self, found: Found, error: PluginError) -> None:
        if self._config.plugins.strict:
            raise error
        failed = PluginRecord(found.name, found.origin, found.version, "failed", error.message)
        kept = [one for one in self._records if (one.name, one.origin) != (found.name, found.origin)]
        self._records = [*kept, failed]

    # ── configuring ──────────────────────────────────────────────────────────────────────────────────

    def _check_tables(self) -> None:
        known = [record.name for record in self._records]
        problems = []
        for name in self._config.plugin:
            if name not in known:
                message = f"there is no plugin of this name{did_you_mean(name, known)}"
                problems.append(Problem(self._source, path_text(("plugin", name)), message))
        if problems:
            raise ConfigError(problems)

    def _configured(self, plugins: Sequence[_Plugin]) -> list[_Plugin]:
        problems: list[Problem] = []
        configured: list[_Plugin] = []
        for plugin in plugins:
            try:
                configured.append(evolve(plugin, config=self._structured(plugin)))
            except PluginError as error:
                self._fail(plugin.found, error)
            except StructureError as error:
                table = ("plugin", plugin.found.name)
                problems += [
                    Problem(self._source, path_text((*table, *fault.path)), fault.message)
                    for fault in error.faults
                ]
        if problems:
            raise ConfigError(problems)
        return configured

    def _structured(self, plugin: _Plugin) -> object:
        name = plugin.found.name
        if name in _CORE_TABLES:
            return _CORE_TABLES[name](self._config)
        type_ = self._call(plugin, "adohub_config_type")
        table = self._config.plugin.get(name, {})
        if type_ is None:
            if table:
                raise StructureError([Fault((), "this plugin takes no configuration")])
            return None
        if not (isinstance(type_, type) and attrs.has(type_)):
            raise PluginError(name, f"adohub_config_type returned {type_!r}, not an attrs class")
        return strict.structure(table, type_)

    # ── asking ───────────────────────────────────────────────────────────────────────────────────────

    def _ask(self, plugin: _Plugin) -> Contribution:
        answers: dict[str, Any] = {}
        for hook, (name, type_) in _COLLECTED.items():
            answer = self._call(plugin, hook, config=plugin.config)
            answers[name] = _collected(plugin.found.name, hook, answer, type_)
        if "adohub_commands" in plugin.hooks:
            answers["add_commands"] = lambda cli: self._call(plugin, "adohub_commands", cli=cli)
        contribution = Contribution(plugin.found.name, **answers)
        _check_types(contribution)
        return contribution

    def _call(self, plugin: _Plugin, hook: str, **arguments: object) -> Any:
        if hook not in plugin.hooks:
            return None
        others = [other for other in self._manager.get_plugins() if other is not plugin.found.module]
        try:
            answers = self._manager.subset_hook_caller(hook, others)(**arguments)
        except StructureError:
            raise
        except Exception as error:  # a stranger's hook: contained, and named
            raise PluginError(plugin.found.name, f"{hook} raised {type(error).__name__}: {error}") from error
        if _TRACE:
            sys.stderr.write(f"adohub plugins: {plugin.found.name}: {hook} -> {answers!r}\n")
        return answers[0] if answers else None

    def _without_dangling(self, contributions: list[Contribution]) -> list[Contribution]:
        """Leave out plugins whose channels carry topics that nobody declares, until none is left."""
        while True:
            declared = {topic.name: topic for one in contributions for topic in one.topics}
            dangling = {
                one.plugin: complaint for one in contributions if (complaint := self._dangling(one, declared))
            }
            if not dangling:
                return contributions
            for record in [record for record in self._records if record.name in dangling]:
                found = Found(record.name, record.origin, record.version)
                self._fail(found, PluginError(record.name, dangling[record.name]))
            contributions = [one for one in contributions if one.plugin not in dangling]

    def _dangling(self, contribution: Contribution, declared: Mapping[str, Topic]) -> str | None:
        for channel in contribution.channels:
            for name in (*channel.topics, *filter(None, [channel.completes_on])):
                topic = declared.get(name)
                if is_wild(name) or (topic is None and self._config.topics.allow_undeclared):
                    continue
                if topic is None:
                    return f"channel {channel.path} carries {name}, a topic that no plugin declares"
                if channel.key not in (None, topic.key):
                    return (
                        f"channel {channel.path} is keyed by {channel.key}, its topic {name} by {topic.key}"
                    )
        return None


def declared_in_toml(channels: Mapping[str, DeclaredChannel], others: Sequence[Contribution]) -> Contribution:
    """The `[channels]` of the configuration, with those of their topics that no plugin declares."""
    known = {topic.name for one in others for topic in one.topics}
    topics: dict[str, Topic] = {}
    for table in channels.values():
        for name in (*table.topics, *filter(None, [table.completes_on])):
            if name not in known and not is_wild(name):
                topics.setdefault(name, Topic(name, key=table.key or None))
    made = [
        Channel(
            path,
            topics=table.topics,
            key=table.key or None,
            replay=table.replay,
            completes_on=table.completes_on or None,
            on_gap=table.on_gap,
            on_slow=table.on_slow,
        )
        for path, table in channels.items()
    ]
    return Contribution("[channels]", topics=tuple(topics.values()), channels=tuple(made))


def _unclaimed(contribution: Contribution, others: Sequence[Contribution]) -> Contribution:
    """`contribution`, if it claims nothing twice and nothing that one of `others` holds."""
    holders = {claim: other.plugin for other in others for claim in other.claims()}
    for claim in contribution.claims():
        what, name = claim
        if claim in holders:
            raise PluginError(
                contribution.plugin, f"{what} {name} is claimed by plugin {holders[claim]} as well"
            )
        holders[claim] = contribution.plugin
    return contribution


def _check_types(contribution: Contribution) -> None:
    """Every type that the wire will be read by must be one that it can be read by."""
    types = [
        *((f"topic {topic.name}", topic.type) for topic in contribution.topics),
        *((f"channel {channel.path}", channel.input) for channel in contribution.channels),
        *((f"procedure {procedure.path}", procedure.input) for procedure in contribution.procedures),
    ]
    for owner, type_ in types:
        if type_ is None:
            continue
        try:
            wire.compile(type_)
        except TypeError as error:
            raise PluginError(contribution.plugin, f"{owner}: {error}") from error


def _collected(plugin: str, hook: str, answer: Any, type_: type[Any]) -> tuple[Any, ...]:
    if answer is None:
        return ()
    if isinstance(answer, str | Mapping) or not isinstance(answer, Iterable):
        raise PluginError(plugin, f"{hook} returned {type(answer).__name__}, not a list of {type_.__name__}")
    items = tuple(answer)
    for item in items:
        if not (isinstance(item, type_) and (type_ is not object or callable(item))):
            raise PluginError(plugin, f"{hook} returned a list with {item!r}, which is no {type_.__name__}")
    return items


def _check_spelling(plugin: str, module: ModuleType) -> None:
    """Refuse functions named like hooks that are none, or that lack the marker: pluggy would skip them."""
    for name, value in vars(module).items():
        if not name.startswith("adohub_") or not callable(value):
            continue
        if name not in HOOKS:
            raise PluginError(plugin, f"{name} is no hook{did_you_mean(name, HOOKS)}")
        if not hasattr(value, f"{PROJECT}_impl"):
            raise PluginError(plugin, f"{name} lacks @hookimpl, so it would never be called")


def _first_line(error: pluggy.PluginValidationError) -> str:
    return " ".join(str(error).split())
