"""The `sqlite` storage engine: events in one file, which survive the process, and with `full` a power cut.

storage     tasks: what gathers is one transaction; what is fresh is followed from memory
writer      one thread: judges drafts, inserts them, lets go of old ones
reader      a few threads: pages and what is newest
database    the file: checks, connections, epoch
lock        the file beside it: whose it is, and how far it has come
schema      tables, and their versions
faults      what may be wrong with a file, in words
"""

from __future__ import annotations

from adohub import StorageEngine, hookimpl
from adohub.builtin.sqlite.storage import open_sqlite


@hookimpl
def adohub_storage_engines(config: object) -> list[StorageEngine]:
    return [StorageEngine("sqlite", open_sqlite)]
