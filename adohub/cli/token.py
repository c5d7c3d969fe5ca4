"""`adohub token`: credentials for those who connect. The hub keeps only their hashes."""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Sequence

import click
import tomli_w

from adohub.cli.lines import print_json, print_line
from adohub.cli.options import IDENTIFIER, config_option
from adohub.cli.streams import note
from adohub.config import load, locate
from adohub.errors import ConfigError
from adohub.structuring import did_you_mean

PREFIX = "ado_"
"""What every token begins with, so that people and scanners for leaked secrets know it when they see it."""

TOKEN_BYTES = 32
"""How many random bytes a token has: nobody guesses one of 2**256, so its plain hash gives nothing away."""


@click.group(name="token")
def command() -> None:
    """Make tokens for the clients of a hub.

    \b
    Example:   adohub token new --name ci --role publisher
    """


@command.command()
@click.option("--name", type=IDENTIFIER, required=True, metavar="N", help="Who is to hold it.")
@click.option(
    "--role",
    "roles",
    type=IDENTIFIER,
    multiple=True,
    required=True,
    metavar="R",
    help="A role of [auth.roles]; may be given several times.",
)
@click.option("--json", "as_json", is_flag=True, help="A JSON object: token, name, sha256, roles.")
@config_option
def new(name: str, roles: Sequence[str], as_json: bool, config_file: str | None) -> None:
    """Make a token: the first line is the token, the rest is what to paste into adohub.toml.

    The token is shown this once and kept nowhere. Who has it is N, with the rights of each role R.

    \b
    Example:   adohub token new --name ci --role publisher --role reader
    """
    token = PREFIX + secrets.token_urlsafe(TOKEN_BYTES)
    digest = hashlib.sha256(token.encode()).hexdigest()
    if as_json:
        print_json({"token": token, "name": name, "sha256": digest, "roles": list(roles)})
    else:
        print_line(f"{token}\n\n{_toml(name, digest, roles)}")
    _tell_of_unknown(name, roles, config_file)


def _toml(name: str, digest: str, roles: Sequence[str]) -> str:
    listed = ", ".join(map(_quoted, roles))
    return f"[[auth.tokens]]\nname = {_quoted(name)}\nsha256 = {_quoted(digest)}\nroles = [{listed}]"


def _quoted(text: str) -> str:
    return tomli_w.dumps({"text": text}).removeprefix("text = ").rstrip("\n")


def _tell_of_unknown(name: str, roles: Sequence[str], config_file: str | None) -> None:
    """Say what will not work once the token is pasted; without any configuration nothing can be said."""
    path = locate(config_file, os.environ)
    if path is None:
        return
    try:
        auth = load(path, os.environ).auth
    except ConfigError:
        note(f"{path} has faults, so this could not be compared with it: adohub config check")
        return
    if name in [token.name for token in auth.tokens]:
        note(f'{path} has a token named "{name}" already: replace it, or choose another name')
    for role in roles:
        if role not in auth.roles:
            hint = did_you_mean(role, auth.roles)
            note(f'{path} has no role "{role}" yet, so it gives no rights: add [auth.roles.{role}]{hint}')
