"""A configuration as TOML, to look at or to load again; secrets are masked unless asked for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import attrs
import tomli_w

from adohub.config.engines import spread_engines
from adohub.config.sections import Config
from adohub.structuring import own_name

MASK = "********"

_SECRET_NAME = re.compile(r"token|secret|passw|passphrase|key|credential", re.IGNORECASE)
"""Names that plugins give to what nobody else should read: `api_key`, `clientSecret`."""

_URL_PASSWORD = re.compile(r"(?<=://)(?P<user>[^:/@]*):.*@", re.DOTALL)
_URL_PARAMETER = re.compile(r"(?P<name>[?&][^=&#]*(token|secret|passw|key)[^=&#]*=)[^&#]*", re.IGNORECASE)


def dump(config: Config, *, mask: bool = True) -> str:
    """`config` as TOML. Without `mask`, loading it gives `config` again."""
    tree = _plain(config, mask)
    return tomli_w.dumps({**tree, "storage": spread_engines(tree["storage"])})


def _plain(value: Any, mask: bool) -> Any:
    """The part of the tree that has classes."""
    if attrs.has(type(value)):
        return {
            own_name(attribute.name): _veiled(getattr(value, attribute.name))
            if mask and attribute.metadata["secret"]
            else _plain(getattr(value, attribute.name), mask)
            for attribute in attrs.fields(type(value))
        }
    if isinstance(value, Mapping):
        return {
            name: _foreign(item) if mask and isinstance(item, Mapping) else _plain(item, mask)
            for name, item in value.items()
        }
    return [_plain(item, mask) for item in value] if isinstance(value, list | tuple) else value


def _foreign(value: Any, secret: bool = False) -> Any:
    """A table that only a plugin or an engine understands: what its names and texts give away is masked."""
    if isinstance(value, Mapping):
        return {
            name: _foreign(item, secret or bool(_SECRET_NAME.search(name))) for name, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [_foreign(item, secret) for item in value]
    if isinstance(value, str):
        return _veiled(value) if secret else _veiled_url(value)
    return MASK if secret and not isinstance(value, bool) else value


def _veiled(text: str) -> str:
    """Nothing of a secret but whether there is one; a URL keeps what is no password."""
    if "://" in text:
        return _veiled_url(text)
    return MASK if text else ""


def _veiled_url(text: str) -> str:
    return _URL_PARAMETER.sub(rf"\g<name>{MASK}", _URL_PASSWORD.sub(rf"\g<user>:{MASK}@", text))
