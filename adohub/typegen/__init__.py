"""From what a hub offers to what its clients are written against: TypeScript, and JSON Schema."""

from __future__ import annotations

from adohub.typegen.jsonschema import document, schema_hash
from adohub.typegen.router import Offer, offer
from adohub.typegen.trpc import TrpcVersion
from adohub.typegen.typescript import body, typescript

__all__ = ["Offer", "TrpcVersion", "body", "document", "offer", "schema_hash", "typescript"]
