"""Many hubs as one, over Redis or Valkey.

storage     the engine: what is published goes to the server, what is read comes out of the replica
replica     the log as this hub has it: read in, followed, answered from
server      what a hub asks the server for
*.lua       what runs inside the server, each all or nothing
entries     how events lie in Redis
keys        under which names
line        keeps a link up
link        one connection to the server that holds the events, found by Sentinels or in a cluster if need be
address     what the URL says
faults      what may be wrong, in words
"""

from __future__ import annotations

from adohub import StorageEngine, hookimpl
from adohub_redis.storage import open_redis


@hookimpl
def adohub_storage_engines(config: object) -> list[StorageEngine]:
    return [StorageEngine("redis", open_redis)]
