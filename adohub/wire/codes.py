"""tRPC's error codes: the JSON-RPC number and the HTTP status of each name.

Source: @trpc/server 11.25, `TRPC_ERROR_CODES_BY_KEY` and its HTTP table. The five 5xx names share -32603;
only `data.code` and `data.httpStatus` tell them apart.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Final, NamedTuple

from adohub.errors import ErrorCode


class CodeNumbers(NamedTuple):
    """What the wire carries for one code name."""

    number: int
    http_status: int


CODES: Final = MappingProxyType[ErrorCode, CodeNumbers](
    {
        "PARSE_ERROR": CodeNumbers(-32700, 400),
        "BAD_REQUEST": CodeNumbers(-32600, 400),
        "UNAUTHORIZED": CodeNumbers(-32001, 401),
        "PAYMENT_REQUIRED": CodeNumbers(-32002, 402),
        "FORBIDDEN": CodeNumbers(-32003, 403),
        "NOT_FOUND": CodeNumbers(-32004, 404),
        "METHOD_NOT_SUPPORTED": CodeNumbers(-32005, 405),
        "TIMEOUT": CodeNumbers(-32008, 408),
        "CONFLICT": CodeNumbers(-32009, 409),
        "PRECONDITION_FAILED": CodeNumbers(-32012, 412),
        "PAYLOAD_TOO_LARGE": CodeNumbers(-32013, 413),
        "UNSUPPORTED_MEDIA_TYPE": CodeNumbers(-32015, 415),
        "UNPROCESSABLE_CONTENT": CodeNumbers(-32022, 422),
        "PRECONDITION_REQUIRED": CodeNumbers(-32028, 428),
        "TOO_MANY_REQUESTS": CodeNumbers(-32029, 429),
        "CLIENT_CLOSED_REQUEST": CodeNumbers(-32099, 499),
        "INTERNAL_SERVER_ERROR": CodeNumbers(-32603, 500),
        "NOT_IMPLEMENTED": CodeNumbers(-32603, 501),
        "BAD_GATEWAY": CodeNumbers(-32603, 502),
        "SERVICE_UNAVAILABLE": CodeNumbers(-32603, 503),
        "GATEWAY_TIMEOUT": CodeNumbers(-32603, 504),
    }
)
