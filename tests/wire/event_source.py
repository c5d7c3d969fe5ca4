"""An EventSource by the HTML standard's own steps (section 9.2.6), without a network."""

from __future__ import annotations

from attrs import define, field


@define
class EventSource:
    """What comes of a stream. `dispatched` holds of each event its type, data and last event id then."""

    last_event_id: str = ""
    reconnection_ms: int | None = None
    dispatched: list[tuple[str, str, str]] = field(factory=list)
    unfinished: str = ""
    """A line whose end has not come yet."""
    _type: str = ""
    _data: str = ""
    _id: str = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._id = self.last_event_id

    def read(self, stream: bytes) -> EventSource:
        """Take more of the stream, cut wherever it may be between two characters."""
        *lines, self.unfinished = (self.unfinished + stream.decode()).split("\n")
        for line in lines:
            if line:
                self._take(*line.split(":", 1))
            else:
                self._dispatch()
        return self

    def end(self) -> EventSource:
        """The stream is over: nothing may have been begun and not ended, for that is not dispatched."""
        assert (self.unfinished, self._type, self._data) == ("", "", "")
        return self

    def _take(self, name: str, value: str) -> None:
        value = value.removeprefix(" ")
        match name:
            case "event":
                self._type = value
            case "data":
                self._data += value + "\n"
            case "id":
                self._id = value
            case "retry":
                self.reconnection_ms = int(value)
            case _:
                raise AssertionError(f"no field is called {name!r}")

    def _dispatch(self) -> None:
        self.last_event_id = self._id
        if self._data:
            self.dispatched.append((self._type or "message", self._data.removesuffix("\n"), self._id))
        self._type = self._data = ""
