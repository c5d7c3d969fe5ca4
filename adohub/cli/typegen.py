"""`adohub typegen`: what the hub of this configuration offers, as types for its clients."""

from __future__ import annotations

import json
import os
import secrets
import shlex
import shutil
from pathlib import Path

import click

from adohub.cli.ending import BadInput
from adohub.cli.options import config_option, tolerant
from adohub.cli.streams import write
from adohub.config import load, locate
from adohub.errors import AdohubError, ConfigError, Problem
from adohub.plugin.loader import load as load_plugins
from adohub.plugin.registry import Registry
from adohub.typegen import TrpcVersion, body, document, offer, typescript


class OutOfDate(AdohubError):
    """The file does not hold the types of this configuration."""


@click.command()
@click.option(
    "--out", "out_file", type=Path, metavar="FILE", help="Write there; a file with the same types is kept."
)
@click.option("--check", is_flag=True, help="Write nothing; exit 1 if FILE is out of date.")
@click.option(
    "--json-schema", is_flag=True, help="One JSON document with JSON Schemas instead of TypeScript."
)
@click.option(
    "--trpc",
    type=click.Choice(["11", "10"]),
    default="11",
    show_default=True,
    help="The version of @trpc/server whose types are used.",
)
@config_option
def command(
    out_file: Path | None, check: bool, json_schema: bool, trpc: TrpcVersion, config_file: str | None
) -> None:
    """Write a TypeScript module: the AppRouter of this configuration, and every event type.

    It holds what plugins and the configuration file declare, too; so no plugin may be broken.

    \b
    Examples:  adohub typegen --out src/hub.ts
               adohub typegen --out src/hub.ts --check
    """
    if check and out_file is None:
        raise click.UsageError("--check looks at the file that --out names")
    path = locate(config_file, os.environ)
    config = load(path, os.environ)
    registry = load_plugins(tolerant(config), source=str(path or "configuration"))
    _refuse_failed(registry, str(path or "configuration"))
    offered = offer(registry, config)
    if json_schema:
        text = json.dumps(document(offered), indent=2, ensure_ascii=False) + "\n"
    else:
        text = typescript(offered, trpc)
    if out_file is None:
        write(text)
    elif check:
        _check(out_file, text, _making(out_file, json_schema, trpc, config_file))
    elif _read(out_file) != body(text):
        _replace(out_file, text)


def _refuse_failed(registry: Registry, source: str) -> None:
    """Raises ConfigError if a plugin failed: its types would be missing, and nobody would know why."""
    failed = [
        Problem(source, f"plugin {one.name}", one.error) for one in registry.plugins if one.status == "failed"
    ]
    if failed:
        raise ConfigError(failed)


def _making(out_file: Path, json_schema: bool, trpc: TrpcVersion, config_file: str | None) -> str:
    """The command that writes the file that is looked at."""
    options = [*(("--config", config_file) if config_file else ()), "--out", str(out_file)]
    options += ["--json-schema"] if json_schema else ["--trpc", trpc] if trpc != "11" else []
    return shlex.join(["adohub", "typegen", *options])


def _check(path: Path, text: str, making: str) -> None:
    found = _read(path)
    if found != body(text):
        wrong = "is no file" if found is None else "is out of date"
        raise OutOfDate(f"{path} {wrong}; `{making}` writes it")


def _read(path: Path) -> str | None:
    """What the file holds besides the version that has written it; None if it is no file."""
    try:
        return body(path.read_text("utf-8", errors="replace")) if path.is_file() else None
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror}") from error


def _replace(path: Path, text: str) -> None:
    """Write `path` in one step: nobody finds half of it, and it stays as it was if that fails."""
    target = path.resolve()
    draft = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    try:
        if path.exists() and not path.is_file():  # a pipe, or a device
            path.write_text(text, "utf-8")
            return
        try:
            draft.write_text(text, "utf-8")
            if target.exists():
                shutil.copymode(target, draft)
            draft.replace(target)
        finally:
            draft.unlink(missing_ok=True)
    except OSError as error:
        raise BadInput(f"cannot write {path}: {error.strerror}") from error
