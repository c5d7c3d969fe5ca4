"""One broken plugin is named and left out, the others load; the operator's own faults stop the hub."""

from __future__ import annotations

import pytest

from adohub.config import DeclaredChannel
from adohub.errors import PluginError
from adohub.plugin.loader import TRACE_VARIABLE
from adohub.plugin.registry import PluginRecord
from tests.plugin.making import HEALTHY, Workshop, contribution, record

# ── what is wrong with a plugin ──────────────────────────────────────────────────────────────────────


BROKEN = [
    (
        "@hookimpl\ndef adohub_topic(config): return []\n",
        'adohub_topic is no hook (did you mean "adohub_topics"?)',
    ),
    (
        "def adohub_chanels(config): return []\n",
        'adohub_chanels is no hook (did you mean "adohub_channels"?)',
    ),
    ("def adohub_zzz(): ...\n", "adohub_zzz is no hook"),
    ("def adohub_topics(config): return []\n", "adohub_topics lacks @hookimpl, so it would never be called"),
    (
        "@hookimpl\ndef adohub_topics(config): 1 / 0\n",
        "adohub_topics raised ZeroDivisionError: division by zero",
    ),
    (
        """
            @hookimpl
            def adohub_topics(config):
                yield Topic('a.b')
                raise KeyError('x')
        """,
        "adohub_topics raised KeyError: 'x'",
    ),
    ("@hookimpl\ndef adohub_config_type(): 1 / 0\n", "adohub_config_type raised ZeroDivisionError"),
    ("@hookimpl\ndef adohub_config_type(): return 5\n", "adohub_config_type returned 5, not an attrs class"),
    (
        "@hookimpl\ndef adohub_config_type(): return dict\n",
        "adohub_config_type returned <class 'dict'>, not an",
    ),
    (
        """
            @attrs.frozen
            class C:
                x: complex = 0

            @hookimpl
            def adohub_config_type(): return C
        """,
        "adohub_config_type: <class 'complex'> has no JSON form",
    ),
    (
        "@hookimpl\ndef adohub_topics(config): return 'a.b'\n",
        "adohub_topics returned str, not a list of Topic",
    ),
    ("@hookimpl\ndef adohub_topics(config): return 5\n", "adohub_topics returned int, not a list of Topic"),
    (
        "@hookimpl\ndef adohub_channels(config): return {}\n",
        "adohub_channels returned dict, not a list of Channel",
    ),
    (
        "@hookimpl\ndef adohub_topics(config): return Topic('a.b')\n",
        "adohub_topics returned Topic, not a list of Topic",
    ),
    (
        "@hookimpl\ndef adohub_topics(config): return ['a.b']\n",
        "adohub_topics returned a list with 'a.b', which is no Topic",
    ),
    (
        "@hookimpl\ndef adohub_sources(config): return [None]\n",
        "adohub_sources returned a list with None, which is no Source",
    ),
    (
        "@hookimpl\ndef adohub_authorizers(config): return [5]\n",
        "adohub_authorizers returned a list with 5, which is no function",
    ),
    (
        "@hookimpl\ndef adohub_topics(config): return [Topic('Bad Name')]\n",
        "adohub_topics raised ValueError: 'Bad Name' is no topic name (dotted lower-case segments)",
    ),
    (
        """
            @attrs.frozen
            class T:
                x: complex

            @hookimpl
            def adohub_topics(config): return [Topic('a.b', T)]
        """,
        "topic a.b: <class 'complex'> has no JSON form",
    ),
    (
        """
            @attrs.frozen
            class T:
                plant: str

            @hookimpl
            def adohub_topics(config): return [Topic('a.b', T, key='plnat')]
        """,
        "adohub_topics raised ValueError: topic a.b: T has no field plnat (by wire name)",
    ),
    (
        """
            @hookimpl
            def adohub_channels(config): return [Channel('onlyone', topics=['a.b'])]
        """,
        "adohub_channels raised ValueError: 'onlyone' is no procedure path (two or more dotted names)",
    ),
    (
        """
            @hookimpl
            def adohub_channels(config): return [Channel('x.y', topics=['a.b'])]
        """,
        "channel x.y carries a.b, a topic that no plugin declares",
    ),
    (
        """
            @hookimpl
            def adohub_channels(config):
                return [Channel('x.y', topics=['task.*'], completes_on='a.b')]
        """,
        "channel x.y carries a.b, a topic that no plugin declares",
    ),
    (
        """
            @hookimpl
            def adohub_channels(config):
                return [Channel('x.y', topics=['task.progress'], key='agentId')]
        """,
        "channel x.y is keyed by agentId, its topic task.progress by taskId",
    ),
    (
        """
            from adohub import Presence, Selection

            @attrs.frozen
            class In:
                who: str

            here = Presence('state.changed', str, str, print, ('workers', 'attend'), ('workers', 'list'))

            @hookimpl
            def adohub_channels(config):
                select = lambda input: Selection(['task.progress'])
                return [Channel('x.y', topics=['task.progress'], input=In, select=select, presence=here)]
        """,
        "topic state.changed is no state topic of Present with the key key",
    ),
    ("import no_such_module_at_all\n", "cannot be imported: ModuleNotFoundError: No module named"),
    ("def broken(:\n", "cannot be imported: SyntaxError: "),
    ("raise RuntimeError('not today')\n", "cannot be imported: RuntimeError: not today"),
    ("raise SystemExit(3)\n", "cannot be imported: SystemExit: 3"),
]


@pytest.mark.parametrize(("source", "error"), BROKEN)
def test_a_broken_plugin_is_named_and_left_out(workshop: Workshop, source: str, error: str) -> None:
    workshop.file("broken", source)
    assert workshop.error("broken").startswith(error)
    with pytest.raises(PluginError, match=r"^plugin broken: ") as refusal:
        workshop.load(strict=True)
    assert refusal.value.plugin == "broken"
    assert refusal.value.message.startswith(error)


def test_a_plugin_that_is_not_used_and_disabled_cannot_fail(workshop: Workshop) -> None:
    workshop.file("broken", "raise RuntimeError\n")
    registry = workshop.load(strict=True, disabled=("broken",))
    assert record(registry, "broken") == PluginRecord(
        "broken", str(workshop.folder / "broken.py"), "", "disabled"
    )


def test_a_disabled_built_in_brings_nothing(workshop: Workshop) -> None:
    registry = workshop.load(disabled=("system",))
    assert "stream.onSystemEvent" not in registry.subscriptions
    assert "stream.onTaskProgress" in registry.subscriptions


def test_who_depends_on_a_plugin_that_is_left_out_is_left_out_too(workshop: Workshop) -> None:
    registry = workshop.load(disabled=("tasks",))
    assert record(registry, "agents").error == (
        "channel stream.onAgentOutput carries task.completed, a topic that no plugin declares"
    )
    assert "stream.onAgentOutput" not in registry.subscriptions


def test_channels_over_undeclared_topics_are_welcome_where_such_topics_are(workshop: Workshop) -> None:
    workshop.file("mine", "@hookimpl\ndef adohub_channels(config): return [Channel('x.y', topics=['a.b'])]\n")
    assert "x.y" in workshop.load(allow_undeclared=True).subscriptions


# ── two that want the same ───────────────────────────────────────────────────────────────────────────

CLAIMS = {
    "storage engine paper": "adohub_storage_engines(config): return [StorageEngine('paper', None)]",
    "topic same.topic": "adohub_topics(config): return [Topic('same.topic')]",
    "path same.path": "adohub_channels(config): return [Channel('same.path', topics=['task.*'])]",
    "path same.procedure": "adohub_procedures(config): return [Procedure('same.procedure', 'query', print)]",
    "path tracked.onSame": "adohub_channels(config): return [Channel('stream.onSame', topics=['**'])]",
    "source same": "adohub_sources(config): return [Source('same', None)]",
    "route GET /same": "adohub_http_routes(config): return [Route('GET', '/same', None)]",
}


@pytest.mark.parametrize("claim", CLAIMS)
def test_the_second_claimant_of_a_name_is_left_out_and_both_are_named(workshop: Workshop, claim: str) -> None:
    source = f"@hookimpl\ndef {CLAIMS[claim]}\n"
    workshop.file("first", source)
    workshop.file("second", source.replace("stream.onSame", "tracked.onSame"))
    assert workshop.error("second") == f"{claim} is claimed by plugin first as well"
    assert record(workshop.load(), "first").status == "loaded"


@pytest.mark.parametrize(
    ("hook", "claim", "holder"),
    [
        ("adohub_topics(config): return [Topic('task.progress')]", "topic task.progress", "tasks"),
        (
            "adohub_storage_engines(config): return [StorageEngine('memory', None)]",
            "storage engine memory",
            "memory",
        ),
        (
            "adohub_procedures(config): return [Procedure('stream.onEvent', 'query', print)]",
            "path stream.onEvent",
            "events",
        ),
    ],
)
def test_the_names_of_built_ins_are_taken(workshop: Workshop, hook: str, claim: str, holder: str) -> None:
    workshop.file("mine", f"@hookimpl\ndef {hook}\n")
    assert workshop.error("mine") == f"{claim} is claimed by plugin {holder} as well"


def test_a_plugin_cannot_claim_a_name_twice_itself(workshop: Workshop) -> None:
    workshop.file("mine", "@hookimpl\ndef adohub_topics(config): return [Topic('a.b'), Topic('a.b')]\n")
    assert workshop.error("mine") == "topic a.b is claimed by plugin mine as well"


# ── tables of the configuration ──────────────────────────────────────────────────────────────────────

CONFIGURED = """
@attrs.frozen
class Bed:
    width_cm: int

@attrs.frozen
class Config:
    greeting: str
    beds: list[Bed] = attrs.field(factory=list)

@hookimpl
def adohub_config_type():
    return Config
"""


def test_a_plugins_table_is_structured_into_its_class(workshop: Workshop) -> None:
    source = '@hookimpl\ndef adohub_topics(config): return [Topic(f"x{config.beds[0].width_cm}")]\n'
    workshop.file("garden", CONFIGURED + source)
    table = {"greeting": "hello", "beds": [{"width_cm": 80}]}
    assert "x80" in workshop.load(plugin={"garden": table}).topics


def test_every_fault_of_every_table_is_told_at_once_by_its_toml_path(workshop: Workshop) -> None:
    workshop.file("garden", CONFIGURED)
    workshop.file("pond", CONFIGURED)
    workshop.file("plain", HEALTHY)
    plugin = {
        "garden": {"greting": "hello", "beds": [{"width_cm": "wide"}]},
        "plain": {"anything": 1},
        "gardn": {"greeting": "hello"},
        "tokens": {"names": []},
    }
    channels = {"single": DeclaredChannel(topics=("a.b",))}
    assert sorted(workshop.problems(plugin=plugin, channels=channels)) == [
        "adohub.toml: channels.single: 'single' is no procedure path (two or more dotted names)",
        'adohub.toml: plugin.garden.beds[0].width_cm: expected integer, got "wide"',
        "adohub.toml: plugin.garden.greeting: required",
        'adohub.toml: plugin.garden.greting: unknown key (did you mean "greeting"?)',
        'adohub.toml: plugin.gardn: there is no plugin of this name (did you mean "garden"?)',
        "adohub.toml: plugin.plain: this plugin takes no configuration",
        "adohub.toml: plugin.pond.greeting: required",
        "adohub.toml: plugin.tokens: this plugin takes no configuration",
    ]


def test_the_table_of_a_disabled_or_failed_plugin_is_not_looked_at(workshop: Workshop) -> None:
    workshop.file("garden", CONFIGURED)
    workshop.file("broken", "raise RuntimeError\n")
    wrong = {"garden": {"nothing": "right"}, "broken": {"x": 1}}
    registry = workshop.load(disabled=("garden",), plugin=wrong)
    assert [record(registry, name).status for name in wrong] == ["disabled", "failed"]


# ── what `plugins list` and the operator see ─────────────────────────────────────────────────────────


def test_every_plugin_has_one_record(workshop: Workshop) -> None:
    workshop.file("mine", '__version__ = "3.1"\n' + HEALTHY)
    workshop.install("theirs", "")
    records = {one.name: one for one in workshop.load().plugins}
    assert records["mine"] == PluginRecord(
        "mine", str(workshop.folder / "mine.py"), "3.1", "loaded", hooks=("adohub_topics",)
    )
    assert records["theirs"] == PluginRecord("theirs", "adohub-theirs", "2.5", "loaded")
    assert records["tasks"].origin == "built-in"
    assert set(records["tasks"].hooks) == {"adohub_topics", "adohub_channels"}


@pytest.mark.parametrize("value", [None, "", "0", "1"])
def test_hook_calls_are_told_when_the_environment_asks_for_it(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], value: str | None
) -> None:
    monkeypatch.delenv(TRACE_VARIABLE, raising=False)
    if value is not None:
        monkeypatch.setenv("ADOHUB_TRACE_PLUGINS", value)
    workshop.file("mine", "@hookimpl\ndef adohub_topics(config):\n    yield Topic('mine.topic')\n")
    workshop.load()
    told = capfd.readouterr().err.splitlines()
    mine = [line for line in told if line.startswith("adohub plugins: mine: adohub_topics -> ")]
    assert bool(told) == (value == "1")
    assert len(mine) == (value == "1")
    assert all("Topic(name='mine.topic'" in line for line in mine)


def test_commands_that_raise_are_their_plugins_fault(workshop: Workshop) -> None:
    workshop.file("mine", "@hookimpl\ndef adohub_commands(cli): 1 / 0\n")
    add_commands = contribution(workshop.load(), "mine").add_commands
    assert add_commands is not None
    with pytest.raises(PluginError, match=r"^plugin mine: adohub_commands raised ZeroDivisionError"):
        add_commands(None)  # type: ignore[arg-type]


def test_a_plugin_that_failed_when_it_was_asked_is_known_by_its_hooks(workshop: Workshop) -> None:
    workshop.file("sso", "@hookimpl\ndef adohub_authenticators(config): 1 / 0\n")
    found = record(workshop.load(), "sso")
    assert (found.status, list(found.hooks)) == ("failed", ["adohub_authenticators"])
