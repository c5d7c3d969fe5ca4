"""Keeps account of who attends here, and takes the steps of `adohub.hub.roll` for those who do not any more.

Law: nothing is believed of a step but what storage has answered or has delivered. A step that fails, is
refused or comes to nothing with its hub leaves the record where it was, for whoever looks at it next.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from typing import Any

import structlog
import trio

from adohub.errors import PeerError, StorageError
from adohub.hub.attendance import Attendance
from adohub.hub.cursor import Subscriber
from adohub.hub.intake import Intake
from adohub.hub.journal import Journal, Resumption
from adohub.hub.roll import Entry, Roll
from adohub.hub.routes import Routes
from adohub.hub.steps import Step, Steps
from adohub.model import Event, Position
from adohub.plugin.presence import Presence, Present
from adohub.plugin.storage import Neighbour, Receipt
from adohub.structuring import StructureError, wire
from adohub.topics import Selection

LOOK_S = 1.0
"""How often it is looked whether the other hubs live, and whether what failed can be done now, in seconds."""

STEPS_AT_A_TIME = 256
"""How many steps go to storage at a time."""

MOST_TRIES = 20
"""After so many steps that others forestalled an arrival is refused."""

TRY_AGAIN_S = 0.02
"""How long an arrival waits after such a step, in seconds; longer after each."""

HANDOVER_S = 1.0
"""How long a hub may take to say how far it had come when another takes its subscriber over, in seconds."""

HEARD_S = 1.0
"""How long what storage has may take to be delivered here, in seconds."""

Hubs = Callable[[], Mapping[str, Neighbour]]
"""See `Storage.hubs`."""

_structure = wire.compile(Present)

_log = structlog.get_logger("adohub.presence")


class Registrar:
    """Everybody who is present by one `presence`, as far as this hub has to do with it.

    `instance` names this hub among `hubs`; `grace_s` is how long somebody may be away, in seconds.
    """

    def __init__(
        self,
        presence: Presence,
        journal: Journal,
        intake: Intake,
        hubs: Hubs,
        *,
        instance: str,
        grace_s: float,
    ) -> None:
        self._topic = presence.topic
        self._journal = journal
        self._steps = Steps(presence, intake, instance)
        self._hubs = hubs
        self._grace_s = grace_s
        self._open: dict[str, Attendance] = {}
        """By ticket."""
        self._attending: dict[str, list[Attendance]] = {}
        """By key."""
        self._roll = Roll(instance, self._open.__contains__)
        self._given: dict[str, tuple[str, Position]] = {}
        """By key whose end is yet to be written down: the ticket, and how far it had come."""
        self._handed_over = 0
        """How many of what is owed are in the steps that were due last: once taken, they are owed no more."""
        self._owed: list[tuple[Entry, Position]] = []
        """What other hubs wait for: how far those had come here whom they have taken over."""
        self._returning: list[Attendance] = []
        self._wake = trio.Event()
        self._progress = trio.Event()
        self._trouble = ""
        """What has gone wrong in the last round, and may again in the next."""
        self._told = ""

    # ── for subscriptions ────────────────────────────────────────────────────────────────────────────

    def attendance(self, subscriber: Subscriber, key: str, about: Any) -> Attendance:
        """A subscription that is about to be present."""
        attendance = Attendance(self, subscriber, key, about)
        self._open[attendance.ticket] = attendance
        self._attending.setdefault(key, []).append(attendance)
        return attendance

    async def arrive(self, attendance: Attendance) -> None:
        """Have it be present: announce it, or take over who is under its key already."""
        for tries in range(1, MOST_TRIES + 1):
            entry = await self._found(attendance.key)
            if attendance.is_over:
                return
            if entry is not None and _is_here(entry, attendance):
                attendance.has_arrived, attendance.is_returning = True, False
                return
            if not await self._step_in(attendance, entry):
                await trio.sleep(TRY_AGAIN_S * tries)
        raise PeerError("SERVICE_UNAVAILABLE", f'too many want to be "{attendance.key}"; try again')

    async def _found(self, key: str) -> Entry | None:
        """What storage has of `key`; None if it has nothing, or it is gone."""
        await self._be_current()
        newest = await self._journal.look_at_newest(Selection([self._topic], key=key))
        for event in newest.events:
            self._note(event)
        entry = self._roll.get(key)
        return None if entry is None or entry.record.phase == "gone" else entry

    async def _step_in(self, attendance: Attendance, entry: Entry | None) -> bool:
        """One step towards its presence; whether it was taken. Raises PeerError if there can be none."""
        if entry is None:
            return await self._take(self._steps.arriving(attendance, self._journal.newest))
        earlier = entry.record
        if earlier.phase in ("arriving", "left"):
            return await self._take(self._steps.settling(entry))
        if attendance.is_returning:  # it was present before, and somebody else is now
            raise _elsewhere(attendance)
        is_said = earlier.phase == "away" or not self._roll.is_elsewhere(earlier)
        taken = await self._take(self._steps.taking_over(entry, attendance, self._reached(earlier)))
        if taken and not is_said:
            with trio.move_on_after(HANDOVER_S):
                await attendance.handed.wait()
        return taken

    def _reached(self, earlier: Present) -> Position | str:
        """How far its subscriber had come, as far as is known here: rather less than more."""
        if earlier.phase == "away":
            return earlier.after
        if self._roll.is_ours(earlier):
            attendance = self._open.get(earlier.ticket)
            reached = self._written(earlier) if attendance is None else attendance.given
        else:
            neighbour = self._hubs().get(earlier.hub)
            reached = None if neighbour is None else neighbour.delivered
        before = Position.parse(earlier.after)
        if reached is None or (before is not None and before.epoch == reached.epoch and reached < before):
            return earlier.after
        return reached

    def _written(self, record: Present) -> Position | None:
        """How far somebody who has left had come, if that is yet to be written into its `record`."""
        ticket, given = self._given.get(record.key, ("", None))
        return given if ticket == record.ticket else None

    def resumption(self, attendance: Attendance) -> Resumption:
        """Where what was kept for it begins."""
        entry = self._roll.get(attendance.key)
        is_its_own = entry is not None and entry.record.ticket == attendance.ticket
        return self._journal.locate(entry.record.after if entry and is_its_own else str(self._journal.newest))

    def depart(self, attendance: Attendance) -> None:
        """It is over; if it was present, how far it had come is written down."""
        del self._open[attendance.ticket]
        others = self._attending[attendance.key]
        others.remove(attendance)
        if not others:
            del self._attending[attendance.key]
        entry = self._roll.get(attendance.key)
        if entry is not None and entry.record.ticket == attendance.ticket:
            if attendance.given is not None:
                self._given[attendance.key] = attendance.ticket, attendance.given
            self._roll.look_at(attendance.key, trio.current_time())
            self._wake.set()

    # ── for procedures ───────────────────────────────────────────────────────────────────────────────

    def present(self, key: str | None = None) -> Sequence[Present]:
        """Who is present, or whether `key` is. Raises StorageError as long as that is not known."""
        if not self._roll.is_of(self._journal.newest.epoch):
            raise StorageError("it is not known yet who is present")
        return self._roll.present(key)

    async def find(self, key: str) -> Present | None:
        """Who is present under `key`, wherever: what storage has of it is waited for."""
        await self._be_current()
        [receipt] = await self._journal.submit([self._steps.question(key)])
        with trio.move_on_after(HEARD_S):
            await self._journal.delivered(receipt.position)
        return next(iter(self.present(key)), None)

    # ── the task ─────────────────────────────────────────────────────────────────────────────────────

    async def run(
        self, routes: Routes, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Take what steps there are, for ever; it has begun once it has tried to find out who is present."""
        routes.listen(self._topic, self._note)
        async with trio.open_nursery() as nursery:
            is_well = await self._kept_up(nursery)
            task_status.started()
            while True:
                if is_well:
                    with trio.move_on_after(self._pause()):
                        await self._wake.wait()
                else:
                    await trio.sleep(LOOK_S)
                is_well = await self._kept_up(nursery)

    def _pause(self) -> float:
        return min(LOOK_S, self._roll.next_due(trio.current_time(), self._grace_s))

    async def _kept_up(self, nursery: trio.Nursery) -> bool:
        """Take all steps that are due; whether none of them failed."""
        self._wake = trio.Event()
        self._trouble = ""
        try:
            await self._be_current()
            alive = {name for name, neighbour in self._hubs().items() if neighbour.alive}
            self._roll.look_around(alive, trio.current_time())
            while await self._took_any(self._due()):
                del self._owed[: self._handed_over]
        except Exception as error:  # noqa: BLE001 - an announcement is a plugin's, and an engine a stranger's
            self._complain(error)
        else:
            while self._returning:
                nursery.start_soon(self._return, self._returning.pop())
        self._told = self._trouble
        return not self._trouble

    def _complain(self, error: Exception) -> None:
        self._trouble = f"{type(error).__name__}: {error}"
        if self._trouble != self._told:
            is_expected = isinstance(error, StorageError | PeerError)
            _log.error("presence is not kept", error=self._trouble, exc_info=None if is_expected else error)
        self._told = self._trouble

    async def _be_current(self) -> None:
        """Know all records there are in the epoch of now."""
        while not self._roll.is_of(epoch := self._journal.newest.epoch):
            self._roll.begin(epoch)
            newest = await self._journal.look_at_newest(Selection([self._topic]))
            if newest.position.epoch != epoch:
                continue
            for event in newest.events:
                self._note(event)
            self._roll.complete()
            for attendance in tuple(self._open.values()):
                self._check(attendance)

    async def _return(self, attendance: Attendance) -> None:
        """Have somebody be present who was, and of whom there is no record any more."""
        while not attendance.is_over:
            try:
                await attendance.arrive()
                return
            except Exception as error:  # noqa: BLE001 - as above
                if isinstance(error, PeerError) and error.code != "SERVICE_UNAVAILABLE":
                    attendance.refuse(error)
                else:
                    self._complain(error)
                    await trio.sleep(LOOK_S)

    async def quiet(self) -> None:
        """Wait until it is written down how far those have come who have left."""
        while self._given:
            await self._progress.wait()

    # ── what is known ────────────────────────────────────────────────────────────────────────────────

    def _note(self, event: Event) -> None:
        try:
            record = _structure(event.noted_payload)
        except StructureError as error:
            _log.error("a record of who is present cannot be read", key=event.key, error=str(error))
            return
        self._learn(event.position, record)
        self._roll.strike(record.key, self._journal.head)

    def _learn(self, position: Position, record: Present) -> None:
        """Storage has `record` there."""
        before = self._roll.get(record.key)
        if not self._roll.put(position, record, trio.current_time()):
            return
        ticket, _ = self._given.get(record.key, ("", None))
        if ticket and (ticket != record.ticket or record.phase != "here"):
            del self._given[record.key]
        is_handed = before is not None and before.record.phase == "here" == record.phase
        for attendance in tuple(self._attending.get(record.key, ())):
            if (
                is_handed
                and before is not None
                and attendance.ticket == record.ticket == before.record.ticket
            ):
                attendance.handed.set()
            self._check(attendance)
        self._wake.set()
        self._progress.set()
        self._progress = trio.Event()

    def _check(self, attendance: Attendance) -> None:
        """Compare an attendance that has arrived with the record under its key."""
        if not attendance.has_arrived:
            return
        entry = self._roll.get(attendance.key)
        if entry is None or entry.record.phase in ("left", "gone"):
            attendance.has_arrived, attendance.is_returning = False, True
            self._returning.append(attendance)
        elif entry.record.ticket != attendance.ticket:
            if self._roll.is_elsewhere(entry.record) and attendance.given is not None:
                self._owed.append((entry, attendance.given))
            attendance.refuse(_elsewhere(attendance))

    # ── steps ────────────────────────────────────────────────────────────────────────────────────────

    def _due(self) -> list[Step]:
        """Some of the steps that this hub has to take now."""
        steps = [self._steps.handing_over(entry, given) for entry, given in self._owed]
        self._handed_over = len(steps)
        for entry in islice(self._roll.due(trio.current_time(), self._grace_s), STEPS_AT_A_TIME):
            try:
                steps.append(self._next(entry))
            except Exception as error:  # noqa: BLE001 - what a plugin announces of one is not the others' matter
                self._complain(error)
        return steps

    def _next(self, entry: Entry) -> Step:
        """The step from a record that nobody attends."""
        if entry.record.phase in ("arriving", "left"):
            return self._steps.settling(entry)
        if entry.record.phase == "here" and self._roll.is_ours(entry.record):
            return self._steps.going_away(entry, self._written(entry.record))
        return self._steps.left(entry)

    async def _take(self, step: Step) -> bool:
        """Whether storage has taken `step`. Raises StorageError, and PeerError if there is no room for it."""
        return self._is_taken(step, await self._journal.submit(step.drafts))

    async def _took_any(self, steps: Sequence[Step]) -> bool:
        submissions = [self._journal.submit(step.drafts) for step in steps]
        receipts = [await submission for submission in submissions]
        taken = [self._is_taken(step, some) for step, some in zip(steps, receipts, strict=True)]
        return any(taken)

    def _is_taken(self, step: Step, receipts: Sequence[Receipt]) -> bool:
        receipt = receipts[-1]
        if receipt.rejected == "full":
            raise PeerError("TOO_MANY_REQUESTS", "as many are present as there may be")
        if receipt.rejected:
            return False
        self._learn(receipt.position, step.record)
        return True


def _is_here(entry: Entry, attendance: Attendance) -> bool:
    return entry.record.ticket == attendance.ticket and entry.record.phase == "here"


def _elsewhere(attendance: Attendance) -> PeerError:
    return PeerError("CONFLICT", f'"{attendance.key}" is attended elsewhere now')
