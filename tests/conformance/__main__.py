"""`make conformance`: the Autobahn suite's cases against both hosts; exit 1 unless all of them are passed.

`kosoku` runs the case files of the Autobahn suite on Python 3. Cases 12 and 13 are about compression, which
the hub never agrees to.
"""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from functools import partial
from typing import Any

import kosoku
import trio

from tests.conformance.echo import HOSTS, echoing

CASES = [f"{section}.*" for section in (1, 2, 3, 4, 5, 6, 7, 9, 10)]
AT_A_TIME = 4
"""Cases that run beside each other."""

PASSED = {"OK", "INFORMATIONAL", "NON-STRICT"}
"""The suite's own verdicts that are no failure: the second is of what RFC 6455 leaves open."""


async def judged(port: int) -> list[Any]:
    """What the suite says to the echo at `port`. For asyncio."""
    try:
        return list(await kosoku.run_fuzzingclient(f"ws://127.0.0.1:{port}", CASES, concurrency=AT_A_TIME))
    except kosoku.FailureError as failure:
        return list(failure.results)


async def main() -> int:
    """Judge each host and tell of it. Returns the exit status."""
    failed = 0
    for host in HOSTS:
        async with echoing(host) as port:
            results = await trio.to_thread.run_sync(partial(asyncio.run, judged(port)))
        verdicts = Counter(result.behavior.value for result in results)
        tell(f"{host}: {len(results)} cases, " + ", ".join(f"{n} {what}" for what, n in verdicts.items()))
        for result in results:
            if not {result.behavior.value, result.behavior_close.value} <= PASSED:
                failed += 1
                tell(f"  {result.case_id}: {result.result} {result.result_close}")
    return 1 if failed else 0


def tell(line: str) -> None:
    sys.stdout.write(line + "\n")


if __name__ == "__main__":
    sys.exit(trio.run(main))
