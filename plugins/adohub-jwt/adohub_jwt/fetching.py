"""Gets a set of keys from a URL: bounded in time and size, from nowhere else, over checked TLS."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import cast

import httpx
import trio

FETCH_S = 5.0
"""How long one fetch may take, in seconds."""

MOST_BYTES = 256 * 1024
"""How long the answer may be."""

_TOO_LONG = f"the answer is longer than {MOST_BYTES} bytes"

_HEADERS = {"accept": "application/jwk-set+json, application/json", "accept-encoding": "identity"}


class FetchFailed(Exception):
    """Nothing to use has come, and why, in words for an operator."""


class Fetcher:
    """Whom it trusts is read once: that takes long enough to be felt by every connection of a hub at work.

    These are the authorities of certifi (or `$SSL_CERT_FILE`) and of the system.
    """

    def __init__(self) -> None:
        self._trusted = httpx.create_ssl_context()
        self._trusted.load_default_certs()

    async def fetch(self, url: str) -> bytes:
        """What is at `url`. Raises FetchFailed."""
        with trio.move_on_after(FETCH_S):
            try:
                return await self._fetch(url)
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                raise FetchFailed(_why(error)) from error
        raise FetchFailed(f"no answer within {FETCH_S:g} s")

    async def _fetch(self, url: str) -> bytes:
        async with (
            httpx.AsyncClient(verify=self._trusted, timeout=FETCH_S, follow_redirects=False) as client,
            client.stream("GET", url, headers=_HEADERS) as answer,
        ):
            if answer.status_code != httpx.codes.OK:
                raise FetchFailed(f"the answer is {answer.status_code}, not 200")
            if int(answer.headers.get("content-length", 0)) > MOST_BYTES:
                raise FetchFailed(_TOO_LONG)
            body = b""
            raw = cast("AsyncGenerator[bytes, None]", answer.aiter_raw())  # which is what it is
            async with aclosing(raw) as chunks:
                async for chunk in chunks:
                    body += chunk
                    if len(body) > MOST_BYTES:
                        raise FetchFailed(_TOO_LONG)
            return body


def _why(error: BaseException) -> str:
    """What the innermost error says: of a bad certificate those around it say nothing."""
    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    return f"{type(error).__name__}: {error}"
