"""`make fuzz FUZZ_ARGS='TARGET --seconds N'`: look for what breaks a reader, guided by coverage.

Without a target each has its turn. What breaks one is kept in `fuzz-findings/TARGET/`, and is tried again by
`make fuzz FUZZ_ARGS='TARGET FILE…'`. What was learnt is kept in `.fuzz-corpus/TARGET/`, where the next run
begins. `--blind` is for machines that have no atheris: mutations by chance.
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import sys
import time
import traceback
from pathlib import Path
from random import Random

from tests.fuzz.mutations import mutated
from tests.fuzz.targets import TARGETS

FINDINGS = Path("fuzz-findings")


def main() -> int:
    """Returns the exit status: 1 if something was found."""
    parser = argparse.ArgumentParser(prog="make fuzz", description="Look for what breaks a reader.")
    parser.add_argument("target", nargs="?", choices=TARGETS, help="all in turn without")
    parser.add_argument("files", nargs="*", type=Path, help="findings to try again")
    parser.add_argument("--seconds", type=int, default=60, help="for each target (default: 60)")
    parser.add_argument("--blind", action="store_true", help="without atheris")
    asked = parser.parse_args()
    if asked.files:
        broken = [not holds(asked.target, path.read_bytes()) for path in asked.files]
    else:
        look = blindly if asked.blind else guided
        broken = [look(name, asked.seconds) for name in ([asked.target] if asked.target else TARGETS)]
    return int(any(broken))


def guided(name: str, seconds: int) -> bool:
    """Whether atheris finds something, in a process of its own."""
    tell(f"── {name}, {seconds} s")
    known = findings(name)
    command = [sys.executable, "-m", "tests.fuzz.guided", name, str(seconds)]
    failed = subprocess.run(command, check=False).returncode != 0
    for path in sorted(findings(name) - known):
        tell_finding(name, path)
    return failed


def findings(name: str) -> set[Path]:
    return set((FINDINGS / name).glob("*"))


def blindly(name: str, seconds: int) -> bool:
    """Whether chance finds something."""
    tell(f"── {name}, {seconds} s")
    seeds, random, tries = TARGETS[name].seeds(), Random(), 0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        data = mutated(random, seeds)
        tries += 1
        if not holds(name, data):
            path = FINDINGS / name / f"crash-{hashlib.sha256(data).hexdigest()[:16]}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
            tell_finding(name, path)
            return True
    tell(f"{tries} tries, nothing found")
    return False


def holds(name: str, data: bytes) -> bool:
    """Whether the target returns; what it raises instead is shown."""
    try:
        TARGETS[name].read(data)
    except Exception:  # noqa: BLE001 - whatever it is, it is a finding
        traceback.print_exc()
        return False
    return True


def tell_finding(name: str, path: Path) -> None:
    tell(f"found: {path}\nagain: make fuzz FUZZ_ARGS='{name} {path}'")


def tell(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
