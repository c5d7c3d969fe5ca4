"""A Valkey of one's own, for tests: real processes, ended with the block that started them. Public.

    async with valkey(tmp_path) as server:
        await server.command("SET", "k", "v")
        await server.kill()
        await server.start()

Needs the extra `testing`, whose wheels carry the server. Everything listens on 127.0.0.1 and waits until it
really answers. What a server says of itself is in `log` in its directory.
"""

from __future__ import annotations

from adohub_redis.testing.cluster import Cluster, cluster
from adohub_redis.testing.partition import Partition, partition
from adohub_redis.testing.replicated import Replicated, replicated
from adohub_redis.testing.resp import Answer, Refused
from adohub_redis.testing.server import Server, StartFailed
from adohub_redis.testing.single import acl, valkey
from adohub_redis.testing.tls import Encrypted, tls

__all__ = [
    "Answer",
    "Cluster",
    "Encrypted",
    "Partition",
    "Refused",
    "Replicated",
    "Server",
    "StartFailed",
    "acl",
    "cluster",
    "partition",
    "replicated",
    "tls",
    "valkey",
]
