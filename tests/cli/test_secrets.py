"""A credential is nowhere to be read: not in the log at its most talkative, in answers, metrics or pages."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.cli.processes import serving
from tests.net import raw

GOOD, BAD, POISON = "good-hunter2-secret", "bad-hunter2-secret", "poison-hunter2-secret"
MARK = "hunter2"
"""In all of them, and in nothing else."""

PLUGIN = f'''
from adohub import Authenticator, hookimpl

@hookimpl
def adohub_authenticators(config):
    async def authenticate(credentials):
        shown = credentials.get("token")
        if shown == "{POISON}":
            raise RuntimeError("the directory of users is away")
    return [Authenticator("faulty", authenticate)]
'''

TOML = f'''
[logging]
level = "debug"
format = "FORMAT"
[plugins]
directories = ["plugins"]
[[auth.tokens]]
name = "ci"
sha256 = "{hashlib.sha256(GOOD.encode()).hexdigest()}"
roles = ["reader"]
'''


def requests(token: str) -> list[bytes]:
    """Every way to show it, alone and with all that can be wrong besides."""
    bearer = f"Bearer {token}"
    params = quote(json.dumps({"token": token}))
    targets = [
        "/",
        "/trpc",
        "/trpc/hub.health",
        "/trpc/no.such",
        "/trpc/stream.onSystemEvent",
        "/metrics",
        "/nowhere",
    ]
    return [
        *(raw.upgrade(f"{target}?token={token}") for target in targets),
        *(raw.upgrade(target, Authorization=bearer) for target in targets),
        raw.upgrade(f"/?token={token}", Sec_WebSocket_Version="12"),
        raw.upgrade(f"/?token={token}", Origin="https://evil.example"),
        raw.upgrade(f"/?token={token}", Cookie=token),
        raw.upgrade("/?connectionParams=1")
        + raw.text({"method": "connectionParams", "data": {"token": token}}),
        *(raw.head(f"{target}?token={token}") for target in targets),
        *(
            raw.head(f"{target}?connectionParams={params}", {"Host": "hub", "Accept": "text/event-stream"})
            for target in targets
        ),
        *(raw.head(target, {"Host": "hub", "Authorization": bearer}, method="POST") for target in targets),
        raw.head(f"/trpc/events.history?token={token}&input={quote(token)}"),
        raw.head(f"/?token={token}", method="BREW"),
        raw.head(f"/?token={token} and more"),
        raw.head("/", {"Host": "hub", "Authorization": bearer, "Content-Length": "x"}),
        raw.head("/", {"Host": "hub", "Authorization": bearer, "X-Long": 20_000 * "x"}),
        raw.head("/", {"Host": "hub", "Authorization": f"Basic {token}", "Bad Header": token}),
    ]


@pytest.mark.parametrize("format_", ["json", "console", "journal"])
async def test_no_credential_is_in_the_log_or_in_any_answer(tmp_path: Path, format_: str) -> None:
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "faulty.py").write_text(PLUGIN)
    answers = []
    async with serving(tmp_path, TOML.replace("FORMAT", format_)) as hub:
        for token in (GOOD, BAD, POISON):
            answers += [await raw.exchange(int(hub.port), request) for request in requests(token)]
        answers.append(await raw.exchange(int(hub.port), raw.head("/metrics")))
        ended = await hub.stop()
    assert len({answer.status for answer in answers if answer is not None}) > 5
    assert "the directory of users is away" in ended.err
    assert "credential refused" in ended.err
    assert MARK not in ended.err
    assert MARK not in ended.out
    assert [answer for answer in answers if answer is not None and MARK in repr(answer)] == []
