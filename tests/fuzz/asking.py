"""HTTP requests in whose every part something may be wrong: heads, queries, bodies, credentials."""

from __future__ import annotations

from urllib.parse import quote

from hypothesis import strategies as st

from tests.fuzz.making import is_spoiled, json_messages

METHODS = ("GET", "POST", "HEAD", "OPTIONS", "PUT", "get", "PRI", "", "G\x00T", "CONNECT")
VERSIONS = ("HTTP/1.1", "HTTP/1.0", "HTTP/2.0", "HTTP/1.2", "http/1.1", "", "HTTP/1.1 ")
ENDS = ("\r\n", "\r\n", "\r\n", "\n", "\r", "\r\n ", "\r\n\r\n")
PATHS = (
    *(
        "/trpc/hub.health",
        "/trpc/events.publish",
        "/trpc/stream.onSystemEvent",
        "/trpc/tracked.onEvent",
        "/trpc/no.such",
    ),
    *(
        "/trpc/hub.health,hub.info",
        "/trpc/,",
        "/trpc/" + "a," * 300,
        "/trpc/%",
        "/trpc/%ff",
        "/trpc/%2e%2e/",
        "/trpc//",
    ),
    *(
        "/",
        "/trpc",
        "/metrics",
        "/healthz",
        "/readyz",
        "/nowhere",
        "*",
        "http://hub/trpc/hub.health",
        "hub:80",
        "//",
        "/#a",
    ),
)
HEADERS = (
    *(
        "Host: hub",
        "Host: hub",
        "Host: other",
        "Host:",
        "Connection: close",
        "Connection: Upgrade",
        "Upgrade: websocket",
    ),
    *(
        "Content-Type: application/json",
        "Content-Type: text/plain",
        "Content-Length: 2",
        "Content-Length: 2, 2",
    ),
    *(
        "Content-Length: -1",
        "Content-Length: +2",
        "Content-Length: 0x2",
        "Content-Length: " + "9" * 30,
        "Content-Length:",
    ),
    *(
        "Transfer-Encoding: chunked",
        "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding: \x0bchunked",
        "Expect: 100-continue",
    ),
    *(
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
        "Sec-WebSocket-Key: é",
        "Origin: null",
    ),
    *(
        "Accept: text/event-stream",
        "Last-Event-ID: e-1",
        "Last-Event-ID: " + "9" * 300,
        "Last-Event-ID: \x00",
        "trpc-accept: application/jsonl",
    ),
    *(
        "trpc-batch-mode: stream",
        "Authorization: Bearer t",
        "Authorization: Basic dDp0",
        "Origin: http://hub",
        "X: " + "y" * 9000,
    ),
    *(
        "no colon",
        " folded",
        "a b: c",
        "X:" + " " * 300,
        "X: \x00",
        "X: é",
        ": nameless",
        "Access-Control-Request-Method: POST",
    ),
)
CHUNKS = (
    *(
        "2\r\n{}\r\n0\r\n\r\n",
        "0\r\n\r\n",
        "2;a=b\r\n{}\r\n0\r\nX: y\r\n\r\n",
        "ffffffffffffffff\r\n",
        "-1\r\n",
        "2\n{}\n0\n\n",
    ),
    *(
        "0x2\r\n{}\r\n0\r\n\r\n",
        "2\r\n{}",
        "2\r\n{}}\r\n",
        "g\r\n",
        "2" + " " * 300 + "\r\n{}\r\n0\r\n\r\n",
        "",
    ),
)
PARAMETERS = (
    "input",
    "batch",
    "lastEventId",
    "Last-Event-Id",
    "connectionParams",
    "token",
    "transformer",
    "",
    "%",
)


@st.composite
def queries(draw: st.DrawFn) -> str:
    """What follows a path, as strange as may be."""
    known = st.sampled_from(
        ["1", "superjson", "none", "e-1", '{"token":"t"}', "null", "%", "%ff", "a" * 300, "\ud83d"]
    )
    values = known | json_messages | st.text(max_size=9)
    pairs = draw(st.lists(st.tuples(st.sampled_from(PARAMETERS), values), max_size=4))
    return "&".join(f"{name}={quote(value, errors='surrogatepass', safe='%')}" for name, value in pairs)


@st.composite
def http_requests(draw: st.DrawFn) -> bytes:
    """A request in whose every part something may be wrong."""
    method = draw(st.sampled_from([*METHODS[:2] * 4, *METHODS]))
    target = draw(st.sampled_from(PATHS)) + draw(st.just("") | queries().map("?{}".format))
    version = draw(st.sampled_from([VERSIONS[0]] * 8 + [*VERSIONS]))
    lines = [
        f"{method} {target} {version}",
        "Host: hub",
        *draw(st.lists(st.sampled_from(HEADERS), max_size=6)),
    ]
    ends = [draw(st.sampled_from(ENDS)) if draw(is_spoiled) else "\r\n" for _ in lines]
    head = "".join(map(str.__add__, lines, ends)) + "\r\n"
    body = draw(st.just("") | st.sampled_from(CHUNKS) | json_messages)
    return head.encode("latin-1", "replace") + body.encode("utf-8", "surrogatepass")


@st.composite
def event_stream_requests(draw: st.DrawFn) -> bytes:
    """A subscription by an EventSource, whose parameters may be anything."""
    path = draw(
        st.sampled_from(["stream.onSystemEvent", "tracked.onEvent", "state.onChange", "workers.attend"])
    )
    resume = draw(st.sampled_from(["", "Last-Event-ID: e-1\r\n", "Last-Event-ID: " + "x" * 300 + "\r\n"]))
    target = f"/trpc/{path}?{draw(queries())}"
    head = f"GET {target} HTTP/1.1\r\nHost: hub\r\nAccept: text/event-stream\r\n{resume}\r\n"
    return head.encode("latin-1", "replace")


@st.composite
def letters(draw: st.DrawFn) -> bytes:
    """An address below the prefix, and a body."""
    path = draw(st.sampled_from([path.removeprefix("/trpc/") for path in PATHS]))
    return f"{path}?{draw(queries())}\n{draw(json_messages)}".encode("latin-1", "replace")


credentials = st.binary(max_size=300) | st.sampled_from(
    [b"Bearer", b"Bearer ", b"Bearer \xff", b"bearer t t", b"Basic x"]
)
