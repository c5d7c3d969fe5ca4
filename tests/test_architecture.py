"""The house stands: imports point down, rooms keep to themselves, nothing grows too large.

Read from the source alone, wherever an import is written: also inside functions and under TYPE_CHECKING.
That importing any module first runs `adohub/__init__.py` is Python's doing and not counted.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Mapping
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest
from attrs import frozen

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "adohub"

LAYERS = [
    "version",
    "errors",
    "notes",
    "model",
    "topics",
    "structuring",
    "config",
    "wire",
    "plugin",
    "metrics",
    "hub",
    "typegen",
    "net",
    "logs",
    "process",
    "systemd",
    "checks",
    "daemon",
    "client",
    "runner",
    "cli",
    "__main__",
    "testing",
]
"""From the ground up: a module may import from its own layer and from those before it."""

SURFACE = {"errors", "model", "topics", "plugin", "version"}
"""What `adohub` itself is made of, for plugin authors; only the built-in plugins import it back."""

MAX_MODULE_LINES = 400
MAX_FUNCTION_LINES = 60

BLIND_CATCHES = {
    "adohub.builtin.sqlite.storage": "a fault of its writing thread, which whoever appends is told",
    "adohub.hub.inbox": "a storage engine, whose append then fails like any other",
    "adohub.hub.trouble": "a storage engine, which is then in trouble",
    "adohub.hub.presence": "an engine, or what a plugin announces: it is tried again",
    "adohub.hub.supervisor": "a source, which is restarted",
    "adohub.net.dispatch": "a procedure: the one place where its failure becomes a tRPC error",
    "adohub.net.gate": "an authenticator, translated by dispatch",
    "adohub.net.session": "an authenticator, a channel's select, a replay: translated by dispatch",
    "adohub.net.stream": "a replay, translated by dispatch",
    "adohub.net.tasks": "what runs for a connection, which then ends",
    "adohub.net.web": "a route, translated by dispatch",
    "adohub.net.trpc": "an authenticator, a channel's select: translated by dispatch",
    "adohub.plugin.discovery": "the import of a plugin",
    "adohub.plugin.loader": "a hook",
    "adohub.plugin.pending": "who waits for a result: a plugin's callback",
}
"""Who may catch any `Exception`, and whose. Blind catches elsewhere must raise again."""


@frozen
class Import:
    """`module` imports `target` in line `line`; `target` is a module, also where a name of it is imported."""

    module: str
    target: str
    line: int

    def __str__(self) -> str:
        return f"{self.module}:{self.line} imports {self.target}"


@frozen(slots=False)
class Module:
    """One source file of the package."""

    name: str
    path: Path

    def __str__(self) -> str:
        return self.name

    @property
    def layer(self) -> str:
        """The first part of its name below `adohub`; `adohub` for the package itself."""
        return layer_of(self.name)

    @cached_property
    def source(self) -> str:
        return self.path.read_text("utf-8")

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.source, self.path.name)

    @cached_property
    def imports(self) -> list[Import]:
        return [Import(self.name, target, line) for target, line in self._targets()]

    def _targets(self) -> Iterator[tuple[str, int]]:
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from ((alias.name, node.lineno) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                assert node.module is not None, f"{self}:{node.lineno}: a relative import"
                assert node.level == 0, f"{self}:{node.lineno}: a relative import"
                for alias in node.names:
                    submodule = f"{node.module}.{alias.name}"
                    yield (submodule if submodule in NAMES else node.module), node.lineno


def layer_of(name: str) -> str:
    return name.split(".")[1] if "." in name else name


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


NAMES = {name_of(path) for path in PACKAGE.rglob("*.py")}
MODULES = [Module(name_of(path), path) for path in sorted(PACKAGE.rglob("*.py"))]
IMPORTS = [one for module in MODULES for one in module.imports]
OURS = [one for one in IMPORTS if one.target.split(".")[0] == "adohub"]
every_module = pytest.mark.parametrize("module", MODULES, ids=str)


def complaints(found: Iterator[Import]) -> list[str]:
    return sorted(map(str, found))


def imports_of(*outside: str) -> Iterator[Import]:
    """Imports of these packages, which are not ours."""
    return (one for one in IMPORTS if one.target.split(".")[0] in outside)


# ── directions ───────────────────────────────────────────────────────────────────────────────────────


def test_every_module_has_its_layer() -> None:
    assert {module.layer for module in MODULES} == {*LAYERS, "adohub", "builtin"}


def test_imports_point_down() -> None:
    ranks = {layer: rank for rank, layer in enumerate(LAYERS)}
    upward = (
        one
        for one in OURS
        if one.target != "adohub"
        and (importer := layer_of(one.module)) in ranks
        and ranks.get(layer_of(one.target), len(ranks)) > ranks[importer]
    )
    assert complaints(upward) == []


def test_the_surface_is_made_of_these_and_imported_by_plugins_and_their_tests_alone() -> None:
    assert {layer_of(one.target) for one in OURS if one.module == "adohub"} == SURFACE
    assert {layer_of(one.module) for one in OURS if one.target == "adohub"} == {"builtin", "testing"}


def test_no_import_goes_in_circles() -> None:
    graph: dict[str, set[str]] = {}
    for one in OURS:
        if one.target != one.module:
            graph.setdefault(one.module, set()).add(one.target)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" imports ".join(reversed(error.args[1])))


def test_no_module_imports_itself_or_what_is_not_there() -> None:
    strange = (one for one in OURS if one.target == one.module or one.target not in NAMES)
    assert complaints(strange) == []


# ── what each room may know ──────────────────────────────────────────────────────────────────────────


def test_the_wire_knows_no_loop_no_clock_and_no_socket() -> None:
    outside = imports_of(
        *(
            "trio",
            "trio_websocket",
            "anyio",
            "sniffio",
            "asyncio",
            "socket",
            "socketserver",
            "selectors",
            "select",
        ),
        *("ssl", "time", "datetime", "threading", "subprocess", "os", "io", "pathlib", "random", "secrets"),
    )
    assert complaints(one for one in outside if layer_of(one.module) == "wire") == []


def below(layer: str) -> set[str]:
    """The modules of `layer` and all that they import, however indirectly."""
    found: set[str] = set()
    ends = {module.name for module in MODULES if module.layer == layer}
    while ends:
        found |= ends
        ends = {one.target for one in OURS if one.module in ends} - found
    return found


def test_the_wire_stands_on_nothing_that_has_a_loop_either() -> None:
    outside = imports_of("trio", "trio_websocket", "anyio", "asyncio", "socket", "select", "ssl", "time")
    floors = below("wire")
    assert floors > {"adohub.wire.conversation", "adohub.errors"}
    assert complaints(one for one in outside if one.module in floors) == []


def test_the_hub_knows_no_socket() -> None:
    outside = imports_of("socket", "ssl", "select", "selectors", "h11", "trio_websocket", "wsproto")
    assert complaints(one for one in outside if layer_of(one.module) == "hub") == []


def test_sockets_belong_to_the_net() -> None:
    """And to who else is handed some: the daemon, which hands them on, and what speaks to systemd."""
    outside = imports_of("socket", "ssl", "select", "selectors", "socketserver")
    allowed = {"net", "systemd", "daemon", "client", "runner"}
    assert complaints(one for one in outside if layer_of(one.module) not in allowed) == []


def test_trio_websocket_is_spoken_by_one_host_and_by_the_client() -> None:
    outside = imports_of("trio_websocket", "wsproto")
    strangers = (
        one for one in outside if one.module != "adohub.net.host" and layer_of(one.module) != "client"
    )
    assert complaints(strangers) == []


def plugin_of(name: str) -> str | None:
    """Which built-in plugin the module is part of, if any."""
    return name.split(".")[2] if name.startswith("adohub.builtin.") else None


def test_built_in_plugins_use_nothing_that_a_third_party_could_not() -> None:
    builtin = [one for one in IMPORTS if layer_of(one.module) == "builtin"]
    allowed = {"adohub", "attrs", "trio", *sys.stdlib_module_names}
    deeper = (
        one
        for one in builtin
        if one.target.split(".")[0] not in allowed
        or (one in OURS and one.target != "adohub" and plugin_of(one.target) != plugin_of(one.module))
    )
    assert builtin
    assert complaints(deeper) == []


def test_a_room_is_not_its_plugins() -> None:
    """Built-ins are found by name, never imported: any could move out."""
    strangers = (one for one in OURS if layer_of(one.target) == "builtin" != layer_of(one.module))
    assert complaints(strangers) == []


# ── exceptions ───────────────────────────────────────────────────────────────────────────────────────


def caught(handler: ast.ExceptHandler) -> set[str]:
    """The names of what it catches; a bare `except` catches BaseException."""
    match handler.type:
        case None:
            return {"BaseException"}
        case ast.Tuple(names):
            return set(map(ast.unparse, names))
        case name:
            return {ast.unparse(name)}


def reraises(handler: ast.ExceptHandler) -> bool:
    """Whether its last statement is a bare `raise`."""
    last = handler.body[-1]
    return isinstance(last, ast.Raise) and last.exc is None


def keepers(of: str) -> set[str]:
    """The modules with a handler for `of` that does not raise it again."""
    handlers = (
        (module.name, node)
        for module in MODULES
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ExceptHandler)
    )
    return {name for name, handler in handlers if of in caught(handler) and not reraises(handler)}


def test_whatever_strangers_raise_is_caught_in_these_places_alone() -> None:
    assert keepers("Exception") == set(BLIND_CATCHES)


def test_nobody_keeps_what_may_be_a_cancellation() -> None:
    assert keepers("BaseException") == set()


# ── sizes and words ──────────────────────────────────────────────────────────────────────────────────


@every_module
def test_a_module_states_its_law(module: Module) -> None:
    docstring = ast.get_docstring(module.tree)
    assert docstring
    assert docstring.split("\n\n")[0].rstrip().endswith((".", ":")), "its first sentence is one"


@every_module
def test_a_module_can_be_read_in_one_sitting(module: Module) -> None:
    assert len(module.source.splitlines()) <= MAX_MODULE_LINES


def functions(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


@every_module
def test_a_function_fits_on_a_screen(module: Module) -> None:
    lengths: Mapping[str, int] = {
        f"{node.name}:{node.lineno}": (node.end_lineno or node.lineno) - node.lineno + 1
        for node in functions(module.tree)
    }
    assert {name: lines for name, lines in lengths.items() if lines > MAX_FUNCTION_LINES} == {}


@every_module
def test_no_room_is_named_for_nothing(module: Module) -> None:
    nothings = {"utils", "util", "helpers", "helper", "common", "base", "manager", "misc", "tools"}
    assert not nothings & set(module.name.split("."))
