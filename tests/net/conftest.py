"""Whatever a running hub promises here, it promises with either host: such tests run once with each."""

from __future__ import annotations

import pytest

from tests.running import hosting


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run the tests of a module that starts hubs with each value of `[server] websocket`."""
    if hasattr(metafunc.module, "running_hub"):
        metafunc.parametrize("websocket", ["native", "trio-websocket"], indirect=True)


@pytest.fixture(autouse=True)  # else pytest would drop it: no test asks for it by name
def websocket(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The host of the hubs that the test starts."""
    monkeypatch.setattr(hosting, "websocket", getattr(request, "param", "native"))
