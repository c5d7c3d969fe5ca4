"""`[limits]`: how much of anything a peer may send or hold, beyond what `[server]` says of one connection."""

from __future__ import annotations

from attrs import field, frozen

from adohub.config.keys import NOT_NEGATIVE, POSITIVE, about


@frozen
class Limits:
    """What one peer may ask of the hub. What is refused is counted in `ado_limit_hits_total`, by key."""

    max_connections_per_address: int = field(
        default=0,
        validator=NOT_NEGATIVE,
        metadata=about(
            "Connections of one address (of IPv6, of one /64; on the unix socket, of one user) at a time; "
            "0 for as many as server.max_connections."
        ),
    )
    max_head_bytes: int = field(
        default=16384, validator=POSITIVE, metadata=about("Longest head of an HTTP request.", unit="bytes")
    )
    max_json_depth: int = field(
        default=128,
        validator=POSITIVE,
        metadata=about("How deep the objects and arrays of an input may nest."),
    )
    max_batch_length: int = field(
        default=10000, validator=POSITIVE, metadata=about("Calls that one batch may hold.")
    )
    max_frame_fragments: int = field(
        default=1024,
        validator=POSITIVE,
        metadata=about('Frames that one WebSocket message may come in, with websocket = "native".'),
    )
    max_id_bytes: int = field(
        default=256,
        validator=POSITIVE,
        metadata=about(
            "Longest id that a client may give a request, resume from, or give as idempotencyKey.",
            unit="bytes",
        ),
    )
    max_key_bytes: int = field(
        default=1024, validator=POSITIVE, metadata=about("Longest key of an event.", unit="bytes")
    )
