"""The Python client: reconnects by itself, resumes after the last event, publishes each event once.

    async with connect("ws://localhost:3001", token=token) as client:
        await client.publish("task.progress", {"taskId": "t1", "phase": "impl", "progress": 5, "message": ""})
        async with client.subscribe("stream.onTaskProgress", {"taskId": "t1"}) as deliveries:
            async for delivery in deliveries:
                print(delivery.id, delivery.data)

Rooms, each importing only what stands before it: `errors`, `address` (where a hub is), `backoff` (when to try
again), `ledger` (what is open with the hub; no I/O), `deliveries`, `nursery`, `link` (one socket), `session`.
"""

from adohub.client.address import Address
from adohub.client.deliveries import Deliveries
from adohub.client.errors import BadAddress, ConnectionLost, Unreachable
from adohub.client.ledger import Delivery
from adohub.client.session import Client, Receipt, State, connect

__all__ = [
    "Address",
    "BadAddress",
    "Client",
    "ConnectionLost",
    "Deliveries",
    "Delivery",
    "Receipt",
    "State",
    "Unreachable",
    "connect",
]
