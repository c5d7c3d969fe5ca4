"""Where adohub does not say what was recorded, and why. Whatever is not listed here is said as recorded.

Two differences run through everything and are made by the playbook: the words of a JSON parser are its own,
and every event of ours has an id, because one event without it erases the place from which clients resume.
"""

from __future__ import annotations

from collections.abc import Sequence

from attrs import field, frozen

from tests.transcripts.golden_files import Line, Transcript, compact, script


@frozen
class Difference:
    """In connection `connection` of `transcript`, the lines `recorded` read `ours` with adohub."""

    transcript: str
    connection: int
    recorded: Sequence[Line] = field(converter=script)
    ours: Sequence[Line] = field(converter=script)
    why: str

    def __str__(self) -> str:
        return f"{self.transcript}: {self.why}"

    def apply(self, lines: Sequence[Line]) -> list[Line]:
        """`lines` with ours in place of the recorded. Raises ValueError unless they are there once."""
        size = len(self.recorded)
        places = [at for at in range(len(lines)) if list(lines[at : at + size]) == list(self.recorded)]
        if len(places) != 1:
            raise ValueError(f"{self.transcript} has the recorded lines {len(places)} times")
        return [*lines[: places[0]], *self.ours, *lines[places[0] + size :]]


def _error(id: object, code: int, name: str, http_status: int, message: str, path: str | None = None) -> str:
    data = {"code": name, "httpStatus": http_status} | ({"path": path} if path is not None else {})
    return "< " + compact({"id": id, "error": {"message": message, "code": code, "data": data}})


_FORBIDDEN = (-32003, "FORBIDDEN", 403, "not allowed")


_HEALTHY = '"result":{"type":"data","data":{"status":"ok"}}'
_NO_MAX_BATCH = (
    "adohub has no maxBatchSize: a batch is bounded by max_message_bytes, and every element is run"
)
_IDS_11_25 = "as in 11.25, an id must be there and be a number or a text; 11.18 took anything"

_SUPERJSON = (
    '< {"id":1,"result":{"type":"data","data":{"json":{"now":"1970-01-01T00:00:00.000Z",%s"big":"12",'
    '"set":[1],"map":[["k","1970-01-01T00:00:00.000Z"]],"nan":"NaN","a.b":"1970-01-01T00:00:00.000Z"},'
    '"meta":{"values":{"now":["Date"],"u":["undefined"],"big":["bigint"],"set":["set"],'
    r'"map":["map",{"0.1":["Date"]}],"nan":["number"],"a\\.b":["Date"]},"v":1}}}}'
)

DIFFERENCES = [
    Difference(
        "v11/ws-superjson",
        1,
        _SUPERJSON % '"u":null,',
        _SUPERJSON % "",
        "what is undefined is not there, for those who read plain JSON; superjson puts it back",
    ),
    *(
        Difference(
            "v11/ws-raw-max-batch",
            1,
            _error(number, -32600, "BAD_REQUEST", 400, "Batch call exceeds maximum size"),
            f'< {{"id":{number},{_HEALTHY}}}',
            _NO_MAX_BATCH,
        )
        for number in (1, 2, 3)
    ),
    Difference(
        "v11/ws-keepalive-client-no-pong",
        1,
        "> PING",
        "> PING\n< PONG",
        "the server was made to keep silent; adohub always answers a PING",
    ),
    Difference(
        "v11.18/ws-connection-params-rejected",
        1,
        '> {"id":1,"method":"query","params":{"path":"hub.health"}}',
        '> {"id":1,"method":"query","params":{"path":"hub.health"}}\n'
        + _error(1, -32001, "UNAUTHORIZED", 401, "bad token", "hub.health"),
        "adohub holds back the close, so that a refused peer's calls fail with the real reason",
    ),
    Difference(
        "v11.18/ws-raw-malformed",
        1,
        f"""> {{"method":"query","params":{{"path":"hub.health"}}}}
            < {{{_HEALTHY}}}""",
        '> {"method":"query","params":{"path":"hub.health"}}\n'
        + _error(None, -32700, "PARSE_ERROR", 400, "Invalid request id"),
        _IDS_11_25,
    ),
    Difference(
        "v11.18/ws-raw-malformed",
        1,
        f'< {{"id":true,{_HEALTHY}}}',
        _error(None, -32700, "PARSE_ERROR", 400, "Invalid request id"),
        _IDS_11_25,
    ),
    Difference(
        "v10/v10-client-on-v11-server-keepalive",
        1,
        "< PING",
        "",
        "a text PING breaks v10 clients: adohub pings peers that have not shown themselves v11 by frames",
    ),
    Difference(
        "v10/v10-ws-raw-errors",
        1,
        '< {"id":5,"result":{"type":"stopped"}}',
        "",
        "as in v11, a duplicate id is refused and the first subscription goes on; v10 stopped it",
    ),
    Difference(
        "v10/v10-ws-raw-errors",
        1,
        "> PING\n"
        + _error(None, -32700, "PARSE_ERROR", 400, "Unexpected token 'P', \"PING\" is not valid JSON"),
        "> PING\n< PONG",
        "as in v11, PING is answered with PONG; v10 did not know it",
    ),
    Difference(
        "v10/v10-ws-subscription",
        1,
        """< {"id":2,"result":{"type":"data","data":{"agentId":"a1","line":0}}}
           < {"id":2,"result":{"type":"stopped"}}
           < {"id":2,"result":{"type":"started"}}
           > {"id":2,"method":"subscription.stop"}
           < {"id":2,"result":{"type":"stopped"}}""",
        """< {"id":2,"result":{"type":"started"}}
           < {"id":2,"result":{"type":"data","data":{"agentId":"a1","line":0}}}
           < {"id":2,"result":{"type":"stopped"}}
           > {"id":2,"method":"subscription.stop"}""",
        "as in v11, started comes first and stopped once; v10 said started after a synchronous end",
    ),
    Difference(
        "v10/v10-ws-subscription",
        1,
        f"""< {{"id":3,"result":{{"type":"data","data":{{"agentId":"a1","line":0}}}}}}
            {_error(3, *_FORBIDDEN, "stream.onAgentOutput")}
            < {{"id":3,"result":{{"type":"started"}}}}
            > {{"id":3,"method":"subscription.stop"}}
            < {{"id":3,"result":{{"type":"stopped"}}}}""",
        f"""< {{"id":3,"result":{{"type":"started"}}}}
            < {{"id":3,"result":{{"type":"data","data":{{"agentId":"a1","line":0}}}}}}
            {_error(3, *_FORBIDDEN, "stream.onAgentOutput")}
            < {{"id":3,"result":{{"type":"stopped"}}}}
            > {{"id":3,"method":"subscription.stop"}}""",
        "as in v11, a failure midway is followed by stopped, and a later stop is silent",
    ),
]

UNPLAYED = {
    "v11/ws-binary-encoder": "that client's encoder writes JSON; adohub's binary frames are MessagePack",
}
"""Transcripts that are not played at all."""


def our_script(transcript: Transcript, connection: int, recorded: Sequence[Line]) -> list[Line]:
    """The recorded lines of one connection, as adohub would have them."""
    lines = list(recorded)
    for difference in DIFFERENCES:
        if (difference.transcript, difference.connection) == (transcript.name, connection):
            lines = difference.apply(lines)
    return lines


UNSAID = {
    "ws-bad-error-shape": "errors without a number, or without a name",
    "ws-noise": "methods nobody has, an array, an error without a name",
    "ws-non-json-text": "a text that is neither JSON nor PING",
    "ws-numeric-event-id": "an event id that is a number",
    "ws-plain-data-with-id": "fields that nobody knows",
    "ws-stopped-then-data": "a reason in stopped",
    "ws-type-omitted": "a result that does not say its type",
}
"""Scripted servers that say what adohub never would, to see what clients make of it."""
