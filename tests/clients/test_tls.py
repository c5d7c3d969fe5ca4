"""Stock clients over TLS, by WebSocket, HTTP and server-sent events; and the hub's own commands."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import tomli_w
import trustme

from tests.cli.processes import Hub, adohub, progress, serving
from tests.clients.puppet import VERSIONS, Version, Via, puppet

WAYS: list[tuple[Version, Via]] = [
    *((version, "ws") for version in VERSIONS),
    ("v10", "batch"),
    ("v11", "batch+sse"),
    ("v11.18", "http+ws"),
]


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of an authority that Node trusts."""
    made = trustme.CA()
    issued = made.issue_cert("localhost", "127.0.0.1")
    issued.cert_chain_pems[0].write_to_path(str(tmp_path / "hub.pem"))
    issued.private_key_pem.write_to_path(str(tmp_path / "hub.key"))
    made.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("NODE_EXTRA_CA_CERTS", str(tmp_path / "ca.pem"))
    return tmp_path / "ca.pem"


@asynccontextmanager
async def secure_hub(folder: Path) -> AsyncIterator[Hub]:
    files = {"tls_cert": str(folder / "hub.pem"), "tls_key": str(folder / "hub.key")}
    toml = tomli_w.dumps({"server": files})
    async with serving(folder, toml) as hub:
        assert hub.url.startswith("wss://127.0.0.1:")
        yield hub


@pytest.mark.parametrize(("version", "via"), WAYS)
async def test_a_stock_client_calls_and_subscribes(
    version: Version, via: Via, tmp_path: Path, authority: Path
) -> None:
    async with secure_hub(tmp_path) as hub, puppet(version, hub.url, via) as client:
        event = {"topic": "task.progress", "payload": progress("t", 7)}
        await client.mutate("events.publish", event)
        if via == "batch":
            assert (await client.query("hub.health"))["status"] == "ok"
            return
        sub = await client.subscribe("stream.onTaskProgress", {"taskId": "t"})
        await sub.until(lambda sub: sub.data)
        assert sub.data[0]["progress"] == 7


async def test_the_hub_s_own_commands_speak_it_to_whom_they_trust(tmp_path: Path, authority: Path) -> None:
    async with secure_hub(tmp_path) as hub:
        trusting = {**os.environ, "SSL_CERT_FILE": str(authority)}
        published = await adohub(
            "publish", "task.progress", json.dumps(progress("t", 1)), "--url", hub.url, env=trusting
        )
        assert (published.status, published.err) == (0, "")
        assert (await adohub("status", "--url", hub.url, env=trusting)).status == 0


async def test_a_hub_that_is_not_trusted_is_told_in_one_line(tmp_path: Path, authority: Path) -> None:
    async with secure_hub(tmp_path) as hub:
        untrusting = {**os.environ, "SSL_CERT_FILE": ""}
        for arguments in (["status"], ["tail"], ["publish", "task.progress", json.dumps(progress("t", 1))]):
            ended = await adohub(*arguments, "--url", hub.url, env=untrusting)
            assert ended.status == 69
            assert ended.out == ""
            assert ended.err.count("\n") == 1
            assert "certificate" in ended.err


async def test_who_forgets_that_it_is_wss_is_told_in_one_line(tmp_path: Path, authority: Path) -> None:
    async with secure_hub(tmp_path) as hub:
        ended = await adohub("status", "--url", hub.url.replace("wss://", "ws://"))
        assert ended.status in (1, 69)
        assert ended.err.count("\n") == 1
        assert "TLS" in ended.err
