"""Many hubs as one, over Redis or Valkey.

storage     the engine: what is published goes to the server, what is read comes out of the replica
replica     the log as this hub has it: read in, followed, answered from
server      what a hub asks the server for
intake      what others say on a channel becomes an event
mirror      what becomes an event is said there
channel     hears it, on every hub, and numbers what it hears
tape        what was heard and is not taken in yet
form        how an event is said there
refusals    what was said and could not be taken in, in the log
turn        which of the hubs takes in, and which mirrors
*.lua       what runs inside the server, each all or nothing
entries     how events lie in Redis
keys        under which names
pace        how many events to ask for at a time
line        keeps a link up
link        one connection to the server that holds the events, found by Sentinels or in a cluster if need be
address     what the URL says
faults      what may be wrong, in words
"""

from __future__ import annotations

from functools import partial

from attrs import frozen

from adohub import StorageEngine, hookimpl
from adohub_redis.storage import open_redis


@frozen
class RedisConfig:
    """`[plugin.redis]`. `mirror`: whether each event is also published on the channel."""

    mirror: bool = False


@hookimpl
def adohub_config_type() -> type[RedisConfig]:
    return RedisConfig


@hookimpl
def adohub_storage_engines(config: RedisConfig) -> list[StorageEngine]:
    return [StorageEngine("redis", partial(open_redis, mirror=config.mirror))]
