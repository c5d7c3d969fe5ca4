"""The least that keeps every event before it is acknowledged: one SQLite transaction for each, nothing else.

    python one_commit.py FOLDER SECONDS BYTES

No network and no subscribers: what a hub without group commit could do at best on this disk. It prints one
JSON object: events a second, and the 99th percentile of how long one took, in milliseconds.
"""

from __future__ import annotations

import json
import sqlite3
import sys
import time
from pathlib import Path


def measure(folder: Path, seconds: float, size: int) -> dict[str, float]:
    """Commit events of `size` bytes into a new file for `seconds`."""
    connection = sqlite3.connect(folder / "events.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("CREATE TABLE events (offset INTEGER PRIMARY KEY, topic TEXT, key TEXT, body BLOB)")
    connection.execute("CREATE INDEX events_by_key ON events (topic, key)")
    body, took = b"x" * size, list[float]()
    began = now = time.perf_counter()
    while now < began + seconds:
        connection.execute(
            "INSERT INTO events (topic, key, body) VALUES ('task.progress', 'task-0', ?)", (body,)
        )
        before, now = now, time.perf_counter()
        took.append(now - before)
    took.sort()
    return {"acknowledged/s": len(took) / (now - began), "p99": 1e3 * took[int(0.99 * len(took))]}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(measure(Path(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]))))
