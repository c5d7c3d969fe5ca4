"""`adohub systemd`: unit files with the right paths in them."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

import click

from adohub.cli.ending import BadInput, OutputFailed
from adohub.cli.lines import print_line
from adohub.cli.streams import write
from adohub.cli.units import SERVICE, units

SYSTEM_FOLDER = Path("/etc/systemd/system")

HIDDEN = ("/home", "/root", "/run/user")
"""What a service with ProtectHome= does not see."""


@click.group(name="systemd")
def command() -> None:
    """Run the hub under systemd.

    \b
    Example:   adohub systemd install --system
    """


@command.command()
@click.option("--system", "scope", flag_value="system", help="For the machine, in /etc/systemd/system.")
@click.option("--user", "scope", flag_value="user", help="For you, in ~/.config/systemd/user.")
@click.option("--print", "only_print", is_flag=True, help="Print them, and write nothing.")
@click.option("--force", is_flag=True, help="Replace files that are there and differ.")
@click.option("--program", metavar="FILE", help="What to run (default: this adohub).")
@click.option(
    "--config", metavar="FILE", default="", help="The hub's configuration (default: where it looks)."
)
@click.option("--dir", "folder", metavar="DIR", help="Write them there instead.")
def install(
    scope: str | None, only_print: bool, force: bool, program: str | None, config: str, folder: str | None
) -> None:
    """Write adohub.service, adohub@.service and adohub.socket, or print them.

    Files that are there and differ are left alone, unless --force is given.

    \b
    Example:   sudo adohub systemd install --system && sudo systemctl enable --now adohub
    """
    if scope is None:
        raise click.UsageError("say for whom: --system or --user")
    is_system = scope == "system"
    if config:
        config = str(Path(config).absolute())
    made = units(program or _this_program(is_system=is_system), config, is_system=is_system)
    if only_print:
        write("\n".join(made.values()))
        return
    _write_units(Path(folder) if folder else _folder(is_system=is_system), made, force=force)
    control = "systemctl" if is_system else "systemctl --user"
    print_line(f"next: {control} daemon-reload && {control} enable --now {SERVICE}")


def _this_program(*, is_system: bool) -> str:
    """The absolute path of the `adohub` that runs. Raises BadInput."""
    own = Path(sys.argv[0])
    found = str(own.absolute()) if own.name == "adohub" and own.exists() else shutil.which("adohub")
    if not found:
        raise BadInput("there is no adohub on the path: name the program with --program")
    if is_system and any(Path(found).is_relative_to(folder) for folder in (*HIDDEN, Path.home())):
        raise BadInput(
            f"{found} is in a home directory, which no service of the system sees: install adohub elsewhere,"
            " as in /opt/adohub, or name the program with --program"
        )
    return found


def _folder(*, is_system: bool) -> Path:
    if is_system:
        return SYSTEM_FOLDER
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "systemd" / "user"


def _write_units(folder: Path, made: Mapping[str, str], *, force: bool) -> None:
    """All of them or none. Raises BadInput for one that is there and differs, OutputFailed."""
    try:
        others = [
            name
            for name, text in made.items()
            if (folder / name).exists() and (folder / name).read_text() != text
        ]
        if others and not force:
            raise BadInput(f"{folder / others[0]} is there and differs; --force replaces it")
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in made.items():
            (folder / name).write_text(text)
            print_line(f"wrote {folder / name}")
    except OSError as error:
        raise OutputFailed(f"{folder}: {error.strerror}") from error
