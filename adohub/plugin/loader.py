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

from adohub.config import Config
from adohub.errors import ConfigError, PluginError, Problem
from adohub.plugin import hookspecs
from adohub.plugin.contracts import Authenticator, Channel, Procedure, Route, Source, Topic
from adohub.plugin.declared import carried, declared_in_toml, misfit
from adohub.plugin.discovery import Found, discover
from adohub.plugin.hookspecs import PROJECT
from adohub.plugin.registry import Contribution, PluginRecord, PluginStatus, Registry
from adohub.plugin.storage import StorageEngine
from adohub.structuring import Fault, StructureError, did_you_mean, path_text, strict, wire

HOOKS: Sequence[str] = tuple(name for name in vars(hookspecs) if name.startswith("adohub_"))

TRACE_VARIABLE = "ADOHUB_TRACE_PLUGINS"
"""Set to 1 in the environment, it has every hook call told on stderr: whose, and what was answered."""

_CORE_TABLES: Mapping[str, Callable[[Config], object]] = {
    "tokens": lambda config: config.auth.tokens,
    "peers": lambda config: config.auth.peers,
}
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

    Raises ConfigError for what is wrong in `[plugin.NAME]` and `[channels]`, all at once; PluginError under
    `[plugins] strict`.
    """
    return _Loading(config, source).run()


class _Loading:
    def __init__(self, config: Config, source: str) -> None:
        self._config = config
        self._source = source
        self._manager = pluggy.PluginManager(PROJECT)
        self._manager.add_hookspecs(hookspecs)
        self._records: list[PluginRecord] = []
        self._problems: list[Problem] = []

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
        declared = self._declared(contributions)
        if self._problems:
            raise ConfigError(self._problems)
        return Registry((*contributions, declared), tuple(self._records))

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
            if self._manager.is_registered(found.module):
                self._manager.unregister(found.module)
            raise PluginError(found.name, _first_line(error)) from error
        except ValueError as error:
            raise PluginError(found.name, "it is loaded already, maybe under another name") from error
        hooks = [caller.name for caller in self._manager.get_hookcallers(found.module) or ()]
        return _Plugin(found, tuple(hooks))

    def _fail(self, found: Found, error: PluginError) -> None:
        if self._config.plugins.strict:
            raise error
        hooks = [one.hooks for one in self._records if (one.name, one.origin) == (found.name, found.origin)]
        failed = PluginRecord(
            found.name,
            found.origin,
            found.version,
            "failed",
            error.message,
            hooks=hooks[0] if hooks else (),
            may_authenticate="adohub_authenticators" in hooks[0] if hooks else found.may_authenticate(),
        )
        kept = [one for one in self._records if (one.name, one.origin) != (found.name, found.origin)]
        self._records = [*kept, failed]

    # ── configuring ──────────────────────────────────────────────────────────────────────────────────

    def _check_tables(self) -> None:
        known = [record.name for record in self._records]
        for name in self._config.plugin:
            if name not in known:
                self._complain(name, Fault((), f"there is no plugin of this name{did_you_mean(name, known)}"))

    def _configured(self, plugins: Sequence[_Plugin]) -> list[_Plugin]:
        configured: list[_Plugin] = []
        for plugin in plugins:
            try:
                configured.append(evolve(plugin, config=self._structured(plugin)))
            except PluginError as error:
                self._fail(plugin.found, error)
            except StructureError as error:
                for fault in error.faults:
                    self._complain(plugin.found.name, fault)
        return configured

    def _complain(self, plugin: str, fault: Fault) -> None:
        path = path_text(("plugin", plugin, *fault.path))
        self._problems.append(Problem(self._source, path, fault.message))

    def _structured(self, plugin: _Plugin) -> object:
        name = plugin.found.name
        type_ = self._call(plugin, "adohub_config_type")
        table = self._config.plugin.get(name, {})
        if type_ is None:
            if table:
                raise StructureError([Fault((), "this plugin takes no configuration")])
            return _CORE_TABLES[name](self._config) if name in _CORE_TABLES else None
        if not (isinstance(type_, type) and attrs.has(type_)):
            raise PluginError(name, f"adohub_config_type returned {type_!r}, not an attrs class")
        try:
            return strict.structure(table, type_)
        except TypeError as error:
            raise PluginError(name, f"adohub_config_type: {error}") from error

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
            answer = answers[0] if answers else None
            if isinstance(answer, Iterator):  # a generator runs only now
                answer = tuple(answer)
        except Exception as error:  # a stranger's hook: contained, and named
            raise PluginError(plugin.found.name, f"{hook} raised {type(error).__name__}: {error}") from error
        if os.environ.get(TRACE_VARIABLE) == "1":
            sys.stderr.write(f"adohub plugins: {plugin.found.name}: {hook} -> {answer!r}\n")
        return answer

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
            for name in carried(channel):
                topic = declared.get(name)
                if topic is None and not self._config.topics.allow_undeclared:
                    return f"channel {channel.path} carries {name}, a topic that no plugin declares"
                complaint = misfit(channel, topic) if topic is not None else None
                if complaint is not None:
                    return complaint
        return None

    def _declared(self, contributions: Sequence[Contribution]) -> Contribution:
        try:
            return declared_in_toml(self._config.channels, contributions, self._source)
        except ConfigError as error:
            self._problems += error.problems
            return Contribution("[channels]")


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
    """Every type that the wire is read by, or that clients are told of, must have a form there."""
    types: list[tuple[str, Any]] = [
        *((f"topic {topic.name}", topic.type) for topic in contribution.topics),
        *((f"channel {channel.path}", channel.input) for channel in contribution.channels),
        *((f"procedure {procedure.path}", procedure.input) for procedure in contribution.procedures),
        *((f"output of {procedure.path}", procedure.output) for procedure in contribution.procedures),
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
    word = "function" if type_ is object else type_.__name__
    if isinstance(answer, str | Mapping) or not isinstance(answer, Iterable):
        raise PluginError(plugin, f"{hook} returned {type(answer).__name__}, not a list of {word}")
    items = tuple(answer)
    for item in items:
        if not (isinstance(item, type_) and (type_ is not object or callable(item))):
            raise PluginError(plugin, f"{hook} returned a list with {item!r}, which is no {word}")
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
