"""What runs inside the server, each all or nothing. The texts are beside this module, as Lua."""

from __future__ import annotations

from hashlib import sha1
from importlib.resources import files

from attrs import field, frozen


@frozen
class Script:
    """A text in Lua, and the name that the server knows it by."""

    text: str = field(repr=False)
    digest: str = field(init=False)

    @digest.default
    def _(self) -> str:
        return sha1(self.text.encode(), usedforsecurity=False).hexdigest()


def _script(name: str) -> Script:
    return Script(files(__package__).joinpath(f"{name}.lua").read_text("utf-8"))


APPEND = _script("append")
ARRIVE = _script("arrive")
TIDY = _script("tidy")
MARK = _script("mark")
TURN = _script("turn")
MIRROR = _script("mirror")
