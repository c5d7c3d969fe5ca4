"""What the daemon asks of the interpreter, the C library and the system, once, when it has started.

Measured reasons, at 20,000 publishes a second into memory storage: with Python's own thresholds the collector
runs 40 times a second and pauses for up to 120 ms as history grows; with glibc's own thresholds every parsed
message grows the heap and gives it back, and a fifth of the time goes into pages that the kernel clears anew.
"""

from __future__ import annotations

import ctypes
import gc
import resource

YOUNG_OBJECTS = 20_000
"""How many more objects are made than freed between two looks at the youngest: about 1 ms of work."""

OLDER_LOOKS = 10
"""How many looks at a generation go by before the next older one is looked at, too."""

SPARE_HEAP_BYTES = 16 * 1024 * 1024
"""How much freed memory at the end of the heap is kept for what comes next."""

HEAP_STEP_BYTES = 1024 * 1024
"""By how much the heap grows at a time; what is larger than this is mapped by itself."""

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD = -1, -2, -3


def settle_in() -> None:
    """Make pauses rare: all that has been made so far is there to stay, and memory is kept at hand."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS, OLDER_LOOKS, OLDER_LOOKS)
    _keep_heap()


def raise_descriptor_limit() -> int:
    """Let this process open as many files as it may at all: each connection is one. Returns how many."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (ValueError, OSError):  # some systems have a lower limit of their own
        return soft
    return hard


def _keep_heap() -> None:
    """glibc alone has these knobs, and needs them; mallopt(3) names them."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_TRIM_THRESHOLD, SPARE_HEAP_BYTES)
        mallopt(_M_TOP_PAD, HEAP_STEP_BYTES)
        mallopt(_M_MMAP_THRESHOLD, HEAP_STEP_BYTES)
