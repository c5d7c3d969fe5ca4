"""One hub for all tests that only talk to one: each uses tasks and topics of its own."""

from __future__ import annotations

import selectors
import subprocess
from collections.abc import Iterator

import pytest

from tests.cli.processes import DEADLINE_S, NOWHERE, PROGRAM, environment

_CONFIG = """
[channels."deploy.onRelease"]
topics = ["deploy.release"]
key = "env"
"""


@pytest.fixture(scope="session")
def hub_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a hub that has the topic `deploy.release`, with the key `env`, beside its own."""
    config = tmp_path_factory.mktemp("hub") / "hub.toml"
    config.write_text(_CONFIG)
    hub = subprocess.Popen(
        [*PROGRAM, "serve", "--port", "0", "--config", str(config)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=NOWHERE,
        env=environment(),
    )
    assert hub.stdout is not None
    with hub, hub.stdout:
        try:
            with selectors.DefaultSelector() as selector:
                selector.register(hub.stdout, selectors.EVENT_READ)
                assert selector.select(DEADLINE_S), "the hub never got ready"
            yield hub.stdout.readline().decode().split()[-1]
        finally:
            hub.kill()
