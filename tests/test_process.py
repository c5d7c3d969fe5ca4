"""A daemon's process settles in: rare collections, everything older than the start left out of them."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import gc
from adohub.process import YOUNG_OBJECTS, settle_in

class Node: ...
settle_in()
assert gc.get_threshold()[0] == YOUNG_OBJECTS
assert gc.get_freeze_count() > 1000
kept = gc.get_freeze_count()

for _ in range(3 * YOUNG_OBJECTS):
    node = Node()
    node.itself = node
assert sum(isinstance(one, Node) for one in gc.get_objects()) <= YOUNG_OBJECTS + 1
assert gc.get_freeze_count() == kept
print("settled")
"""


def test_cycles_are_still_collected_but_not_what_was_there_at_the_start() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.stdout, done.stderr) == ("settled\n", "")


def test_a_process_may_open_all_the_files_that_the_system_allows_it() -> None:
    program = """
import resource
from adohub.process import raise_descriptor_limit
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
assert raise_descriptor_limit() == hard
assert resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard)
print("raised")
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.stdout, done.stderr) == ("raised\n", "")
