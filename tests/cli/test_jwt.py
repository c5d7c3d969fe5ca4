"""A hub with `[plugin.jwt]` in its file, and an issuer whose keys change; no token is in the log."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import trio
from attrs import define, field
from joserfc import jwk, jwt

from tests.cli.processes import Hub, serving
from tests.net import raw
from tests.running import open_peer

OLD, NEW = (jwk.ECKey.generate_key("P-256", {"kid": kid}) for kid in ("old", "new"))

TOML = """
[plugin.jwt]
issuer = "https://issuer.example/realms/ado"
audience = ["adohub"]
jwks_url = "{url}"
jwks_refetch_s = 1
name_claim = "preferred_username"
roles_claim = "realm_access.roles"
[plugin.jwt.roles]
operators = ["reader"]
[auth.roles.reader]
subscribe = ["**"]
"""


@define
class Issuer:
    """Gives `keys` to whoever asks."""

    keys: list[jwk.ECKey] = field(factory=lambda: [OLD])
    url: str = ""

    async def serve(self, stream: trio.SocketStream) -> None:
        body = json.dumps({"keys": [key.as_dict(private=False) for key in self.keys]}).encode()
        async with stream:
            await stream.receive_some()
            await stream.send_all(
                b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)
            )

    def token(self, key: jwk.ECKey, for_s: float = 3600) -> str:
        claims = {
            "iss": "https://issuer.example/realms/ado",
            "aud": ["account", "adohub"],
            "exp": int(time.time() + for_s),
            "preferred_username": "anna",
            "realm_access": {"roles": ["offline", "operators"]},
        }
        return jwt.encode({"alg": "ES256", "kid": key.kid, "typ": "JWT"}, claims, key)


@asynccontextmanager
async def issuing() -> AsyncIterator[Issuer]:
    issuer = Issuer()
    async with trio.open_nursery() as nursery:
        [listener] = await trio.open_tcp_listeners(0, host="127.0.0.1")
        issuer.url = f"http://127.0.0.1:{listener.socket.getsockname()[1]}/keys"
        nursery.start_soon(trio.serve_listeners, issuer.serve, [listener])
        yield issuer
        nursery.cancel_scope.cancel()


async def refused(hub: Hub, token: str) -> int:
    """The status that a WebSocket with `token` is refused with."""
    response = await raw.exchange(int(hub.port), raw.upgrade(f"/?token={token}"))
    assert response is not None
    return response.status


async def test_tokens_are_good_by_the_keys_that_their_issuer_has_now(tmp_path: Path) -> None:
    async with issuing() as issuer, serving(tmp_path, TOML.format(url=issuer.url)) as hub:
        old, new = issuer.token(OLD), issuer.token(NEW)
        async with open_peer(hub.url, headers={"Authorization": f"Bearer {old}"}) as peer:
            await peer.subscribe(1, "stream.onSystemEvent")
        issuer.keys = [NEW]
        await trio.sleep(1.1)  # so long no fetch is made for a key that is not known
        async with open_peer(hub.url, f"/?token={new}") as peer:
            await peer.subscribe(1, "stream.onSystemEvent")
        assert await refused(hub, old) == 401
        expired = issuer.token(NEW, -42)
        assert await refused(hub, expired) == 401
        ended = await hub.stop()
        assert "it is signed with a key that is not known" in ended.err
        assert "it has expired 4" in ended.err
        for token in (old, new, expired):
            assert not any(part in ended.err for part in token.split(".")[1:])


async def test_while_the_issuer_is_away_the_hub_runs_and_clients_are_asked_to_come_back(
    tmp_path: Path,
) -> None:
    async with serving(tmp_path, TOML.format(url="http://127.0.0.1:1/keys")) as hub:
        assert await refused(hub, Issuer().token(OLD)) == 503
        assert await refused(hub, "ado_nobody") == 401
