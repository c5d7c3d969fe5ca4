"""Each hook, named: it is called once with its plugin's config, and what it returns is in the registry."""

from __future__ import annotations

import click
import pytest

from adohub.plugin import hookspecs
from adohub.plugin.loader import HOOKS
from tests.plugin.making import Workshop, contribution, record

CONFIGURED = """
@attrs.frozen
class Config:
    name: str = "unnamed"

@hookimpl
def adohub_config_type():
    return Config
"""


def test_every_hook_has_a_test_of_its_name_and_a_promise() -> None:
    assert len(HOOKS) == 10
    for hook in HOOKS:
        assert f"test_{hook}" in globals(), hook
        assert getattr(hookspecs, hook).__doc__, hook


def test_adohub_config_type(workshop: Workshop) -> None:
    workshop.file(
        "mine",
        CONFIGURED + '@hookimpl\ndef adohub_topics(config):\n    return [Topic(f"{config.name}.topic")]\n',
    )
    assert "unnamed.topic" in workshop.load().topics
    assert "named.topic" in workshop.load(plugin={"mine": {"name": "named"}}).topics


def test_adohub_topics(workshop: Workshop) -> None:
    workshop.file(
        "mine",
        """
        @attrs.frozen
        class Tick:
            plant_name: str

        @hookimpl
        def adohub_topics(config):
            assert config is None
            yield Topic("mine.tick", Tick, key="plantName")
            yield Topic("mine.note")
        """,
    )
    registry = workshop.load()
    assert (registry.topics["mine.tick"].key, registry.topics["mine.note"].type) == ("plantName", None)
    assert record(registry, "mine").hooks == ("adohub_topics",)


def test_adohub_channels(workshop: Workshop) -> None:
    workshop.file(
        "mine",
        """
        @hookimpl
        def adohub_channels():
            return (
                Channel("stream.onMine", topics=["task.progress"], key="taskId"),
                Channel("mine.onAll", topics=["task.*"], tracked="mine.trackedAll", on_gap="error"),
            )
        """,
    )
    registry = workshop.load()
    paths = {"stream.onMine", "tracked.onMine", "mine.onAll", "mine.trackedAll"}
    assert {path: registry.subscriptions[path][1] for path in paths} == {
        "stream.onMine": False,
        "tracked.onMine": True,
        "mine.onAll": False,
        "mine.trackedAll": True,
    }
    assert registry.subscriptions["mine.trackedAll"][0] is registry.channels["mine.onAll"]
    assert "mine.trackedAll" not in registry.channels


def test_adohub_procedures(workshop: Workshop) -> None:
    workshop.file(
        "mine",
        """
        @hookimpl
        def adohub_procedures(config):
            return [Procedure("mine.double", "query", lambda input, call: 2)]
        """,
    )
    assert workshop.load().procedures["mine.double"].kind == "query"


def test_adohub_sources(workshop: Workshop) -> None:
    workshop.file(
        "mine",
        """
        async def run(publish): ...

        @hookimpl
        def adohub_sources(config):
            return [Source("one", run), Source("two", run)]
        """,
    )
    assert [source.name for source in workshop.load().sources] == ["one", "two"]


def test_adohub_authenticators(workshop: Workshop) -> None:
    for name in ("b", "a"):
        workshop.file(
            name,
            f"""
            async def authenticate(credentials): ...

            @hookimpl
            def adohub_authenticators(config):
                return [Authenticator("{name}1", authenticate), Authenticator("{name}2", authenticate)]
            """,
        )
    assert [one.name for one in workshop.load().authenticators] == ["a1", "a2", "b1", "b2"]


def test_adohub_authorizers(workshop: Workshop) -> None:
    workshop.file(
        "mine",
        """
        def no(principal, action, resource):
            return False

        @hookimpl
        def adohub_authorizers(config):
            return [no]
        """,
    )
    [authorizer] = workshop.load().authorizers
    assert getattr(authorizer, "__name__", None) == "no"


def test_adohub_storage_engines(workshop: Workshop) -> None:
    workshop.file(
        "mine",
        """
        @hookimpl
        def adohub_storage_engines(config):
            return [StorageEngine("paper", lambda settings: None)]
        """,
    )
    assert set(workshop.load().storage_engines) == {"memory", "paper", "sqlite"}


def test_adohub_http_routes(workshop: Workshop) -> None:
    workshop.file(
        "mine",
        """
        async def answer(request): ...

        @hookimpl
        def adohub_http_routes(config):
            return [Route("POST", "/mine", answer), Route("GET", "/mine", answer)]
        """,
    )
    assert {("GET", "/mine"), ("POST", "/mine"), ("GET", "/healthz")} <= set(workshop.load().routes)


def test_adohub_commands(workshop: Workshop) -> None:
    """It runs only when there is a command line to add to."""
    workshop.file(
        "mine",
        """
        @hookimpl
        def adohub_commands(cli):
            cli.command("greet")(lambda: print("hello"))
        """,
    )
    cli = click.Group()
    add_commands = contribution(workshop.load(), "mine").add_commands
    assert add_commands is not None
    add_commands(cli)
    assert list(cli.commands) == ["greet"]


def test_a_hook_takes_the_arguments_it_wants_and_no_others(workshop: Workshop) -> None:
    workshop.file("few", "@hookimpl\ndef adohub_topics():\n    return []\n")
    assert record(workshop.load(), "few").status == "loaded"
    workshop.file("many", "@hookimpl\ndef adohub_topics(config, daemon):\n    return []\n")
    message = workshop.error("many")
    assert "adohub_topics" in message
    assert "daemon" in message
    assert "\n" not in message


def test_hooks_run_once_and_in_load_order(workshop: Workshop, capfd: pytest.CaptureFixture[str]) -> None:
    for name in ("b", "a"):
        workshop.file(
            name, f"@hookimpl\ndef adohub_topics(config):\n    print('asked {name}')\n    return []\n"
        )
    workshop.load()
    assert capfd.readouterr().out.splitlines() == ["asked a", "asked b"]
