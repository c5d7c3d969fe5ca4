"""Which idempotency keys have been answered, and how: for engines that judge drafts out of memory."""

from __future__ import annotations

from collections import OrderedDict

from adohub.plugin.storage import Receipt, StorageSettings

Author = tuple[str, str]
"""A principal's name, and the key that it has given."""


class Repeats:
    """The first receipts of the last `idempotency_window_s`, of at most `max_events` drafts."""

    def __init__(self, settings: StorageSettings) -> None:
        self._settings = settings
        self._receipts: OrderedDict[Author, tuple[float, Receipt]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._receipts)

    def find(self, author: Author, moment: float) -> Receipt | None:
        """The receipt of a draft that repeats one, or None: it has to be judged."""
        if author not in self._receipts:
            return None
        seen_at, first = self._receipts[author]
        return first._replace(repeated=True) if seen_at >= self._oldest(moment) else None

    def note(self, author: Author, moment: float, receipt: Receipt) -> None:
        """`receipt` was the answer at `moment`, in seconds; later ones are noted later."""
        self._receipts[author] = (moment, receipt)
        self._receipts.move_to_end(author)

    def forget(self, moment: float) -> None:
        """Let go of what is too old, or too much."""
        while self._receipts:
            author, (seen_at, _) = next(iter(self._receipts.items()))
            if seen_at >= self._oldest(moment) and len(self._receipts) <= self._settings.max_events:
                return
            del self._receipts[author]

    def _oldest(self, moment: float) -> float:
        return moment - self._settings.idempotency_window_s
