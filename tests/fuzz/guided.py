"""`python -m tests.fuzz.guided TARGET SECONDS`: one target under atheris, which ends the process itself."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["adohub", "h11", "tomllib"]):
    from tests.fuzz.targets import TARGETS

FINDINGS = Path("fuzz-findings")
CORPUS = Path(".fuzz-corpus")
MOST_BYTES = 16_384

SLOW_S = 10
"""After how many seconds a reader has hung."""


def guided(name: str, seconds: int) -> None:
    """Begin with the target's seeds and with what earlier runs have learnt."""
    findings, corpus = FINDINGS / name, CORPUS / name
    findings.mkdir(parents=True, exist_ok=True)
    corpus.mkdir(parents=True, exist_ok=True)
    for seed in TARGETS[name].seeds():
        (corpus / hashlib.sha256(seed).hexdigest()[:16]).write_bytes(seed)
    options = {
        "max_total_time": seconds,
        "max_len": MOST_BYTES,
        "timeout": SLOW_S,
        "artifact_prefix": f"{findings}/",
        "print_final_stats": 1,
    }
    atheris.Setup(
        ["fuzz", *(f"-{key}={value}" for key, value in options.items()), str(corpus)], TARGETS[name].read
    )
    atheris.Fuzz()


if __name__ == "__main__":
    guided(sys.argv[1], int(sys.argv[2]))
