"""Plugins are found by name, by entry point and by folder; what cannot be imported is found all the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from adohub.plugin.discovery import BUILTINS
from adohub.plugin.loader import load
from tests.plugin.making import HEALTHY, PRELUDE, Workshop, contribution, record


def test_built_ins_come_first_then_distributions_then_files(workshop: Workshop) -> None:
    workshop.file("aaa", "")
    workshop.install("zzz", "")
    workshop.install("bbb", "")
    assert [one.name for one in workshop.load().plugins] == [*BUILTINS, "bbb", "zzz", "aaa"]


def test_an_installed_distribution_is_found_by_its_entry_point(workshop: Workshop) -> None:
    workshop.install("theirs", HEALTHY, distribution="their-adohub-things")
    registry = workshop.load()
    found = record(registry, "theirs")
    assert (found.origin, found.version, found.status) == ("their-adohub-things", "2.5", "loaded")
    assert "healthy.topic" in registry.topics


def test_an_entry_point_may_name_an_object_of_a_module(workshop: Workshop) -> None:
    source = (
        f"import types\nplugin = types.ModuleType('plugin')\nexec('''{PRELUDE}{HEALTHY}''', vars(plugin))\n"
    )
    workshop.install("unused", source, distribution="things")
    workshop.entry_point("theirs", "things:plugin", "things")
    assert [one.plugin for one in workshop.load().contributions if one.topics][-1] == "theirs"


@pytest.mark.parametrize(
    ("value", "error"),
    [
        ("no_such_module", "cannot be imported: ModuleNotFoundError: "),
        ("things:nothing", "cannot be imported: AttributeError: "),
    ],
)
def test_an_entry_point_that_leads_nowhere(workshop: Workshop, value: str, error: str) -> None:
    workshop.install("unused", "", distribution="things")
    workshop.entry_point("theirs", value, "things")
    assert workshop.error("theirs").startswith(error)


def test_a_folder_gives_its_python_files_and_nothing_else(workshop: Workshop) -> None:
    workshop.file("good", HEALTHY)
    workshop.file("_private", "raise RuntimeError\n")
    workshop.file(".hidden", "raise RuntimeError\n")
    (workshop.folder / "readme.txt").write_text("no plugin")
    (workshop.folder / "sub").mkdir()
    assert [one.name for one in workshop.load(strict=True).plugins] == [*BUILTINS, "good"]


def test_a_folder_that_cannot_be_read_is_a_plugin_that_failed(workshop: Workshop) -> None:
    missing = workshop.place / "missing"
    config = workshop.with_folder(workshop.config(), missing)
    found = record(load(config), str(missing))
    assert (found.status, found.error) == ("failed", "the folder cannot be read: No such file or directory")


def test_a_file_plugin_may_postpone_its_annotations(workshop: Workshop) -> None:
    workshop.file(
        "later",
        """
        @attrs.frozen
        class Outer:
            inner: "Inner"

        @attrs.frozen
        class Inner:
            count: int

        @hookimpl
        def adohub_topics(config):
            return [Topic("later.topic", Outer)]
        """,
        prelude="from __future__ import annotations\n" + PRELUDE,
    )
    assert "later.topic" in workshop.load(strict=True).topics


# ── one name, one plugin ─────────────────────────────────────────────────────────────────────────────


def second_folder(workshop: Workshop) -> Path:
    other = workshop.place / "others"
    other.mkdir()
    return other


def test_two_plugins_of_one_name_the_second_is_left_out_and_both_places_are_told(workshop: Workshop) -> None:
    other = second_folder(workshop)
    first = workshop.file("twin", HEALTHY)
    second = other / "twin.py"
    second.write_text(PRELUDE)
    registry = load(workshop.with_folder(workshop.config(), workshop.folder, other))
    loaded, failed = (one for one in registry.plugins if one.name == "twin")
    assert (loaded.status, loaded.origin, failed.status, failed.origin) == (
        "loaded",
        str(first),
        "failed",
        str(second),
    )
    assert failed.error == f"{first} and {second} both bring a plugin of this name"
    assert contribution(registry, "twin").topics


def test_a_file_cannot_take_the_name_of_a_built_in(workshop: Workshop) -> None:
    path = workshop.file("tasks", HEALTHY)
    registry = workshop.load()
    [failed] = (one for one in registry.plugins if one.status == "failed")
    assert failed.error == f"built-in and {path} both bring a plugin of this name"
    assert "task.progress" in registry.topics
    assert "healthy.topic" not in registry.topics


def test_a_folder_named_twice_is_one_folder(workshop: Workshop) -> None:
    workshop.file("mine", HEALTHY)
    registry = load(workshop.with_folder(workshop.config(), workshop.folder, workshop.folder))
    assert record(registry, "mine").status == "loaded"


def test_two_entry_points_of_one_module_are_one_plugin_and_one_complaint(workshop: Workshop) -> None:
    workshop.install("first", HEALTHY, distribution="things")
    workshop.entry_point("second", "things", "things")
    registry = workshop.load()
    assert "healthy.topic" in registry.topics
    assert record(registry, "second").error == "it is loaded already, maybe under another name"
