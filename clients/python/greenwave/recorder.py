"""Writes the journal of a run. A journal that has failed is never written again: the
recorder goes on in a new folder, a new part of the run, as soon as the disk takes
writes again. A record there counts what is missing."""

from __future__ import annotations

import errno
import os
import tempfile
import threading
import time
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Tuple

from . import record
from .errors import Finished, GreenwaveError, NotRecorded
from .journal import errors as je
from .journal.line import MIN_MICRO, short_time
from .journal.writer import Writer, clock
from .provenance import new_run_id

RETRY_EVERY = 1.0  # seconds before a disk that refused a write is tried again
ROOM = 1 << 20  # bytes that must fit on the disk before recording resumes

_PATIENCE = 10.0  # seconds that the end of a run waits for who looks after a failure

# Kinds whose loss is not counted: the run's own.
_OWN = ("heartbeat", "resource")


class Place(NamedTuple):
    """Where a record stands."""

    run_id: str
    seq: int


class Counts(NamedTuple):
    logged: int
    durable: int
    not_recorded: int


class Recorder:
    def __init__(
        self,
        base: str,
        header: Dict[str, Any],
        not_before: Optional[int],
        on_part: Callable[[str], None],
        on_fail: Callable[[str], None],
        on_back: Callable[[], None],
    ) -> None:
        self.base, self.header = base, header
        self._not_before = not_before
        self._on_part, self._on_fail, self._on_back = on_part, on_fail, on_back
        self._lock = threading.RLock()  # of what is below; held shortly
        self._retry = threading.Lock()  # of who looks after a failure
        self._parts: List[Tuple[int, int]] = []  # logged and durable of what is no longer written
        self._failed: List[Writer] = []
        self._cause: Optional[BaseException] = None
        self._next_try = 0.0
        self._ended = False
        self._lost: Dict[str, int] = {}
        self._told: Dict[str, int] = {}
        self._doubt = 0  # records of a failed journal that no fdatasync confirmed
        try:
            self._writer: Optional[Writer] = self._create()
        except je.TooLarge as exc:
            raise GreenwaveError(f"the configuration of the run is too large: {exc}") from exc
        except je.JournalError as exc:
            raise NotRecorded(f"cannot record in {base}: {exc}") from exc
        self.run_id: str = self._writer.header["run_id"]
        self.path = self._writer.path
        self._on_part(self.path)

    def _create(self) -> Writer:
        made: List[Writer] = []
        w = Writer(self.base, self.header, not_before=self._not_before, on_error=lambda exc: self._fail(made[0], exc))
        made.append(w)
        return w

    def append(self, kind: str, data: bytes, durable: bool) -> Place:
        w = self._current()
        if w is None and self._reopen():
            w = self._current()
        if w is None:
            raise self._refuse(kind)
        try:
            return Place(w.header["run_id"], w.append(kind, data, durable))
        except je.Failed as exc:
            self._fail(w, exc)
            raise self._refuse(kind) from None
        except je.Closed:
            raise Finished("the run has ended") from None
        except (je.TooLarge, je.Invalid, je.Forked, je.Reentered) as exc:
            raise GreenwaveError(f"{kind}: {exc}") from exc

    def _current(self) -> Optional[Writer]:
        if self._ended:
            raise Finished("the run has ended")
        return self._writer

    def flush(self) -> None:
        w = self._current()
        if w is None:
            raise NotRecorded(self.why())
        try:
            w.flush()
        except je.Failed as exc:
            self._fail(w, exc)
            raise NotRecorded(f"what was logged last may not be on the disk: {self.why()}") from None
        except je.JournalError as exc:
            raise GreenwaveError(str(exc)) from exc

    def end(self, data: bytes) -> None:
        """Writes the last record and closes the journal."""
        if self._writer is None:
            self._reopen(force=True)
        with self._lock:
            w = self._writer
            self._ended = True
        try:
            if w is None:
                raise self._refuse("end")
            try:
                w.append("end", data, True)
                w.close()
            except je.Closed:
                w.close()
            except je.Failed as exc:
                self._fail(w, exc)
                raise self._refuse("end") from None
        finally:
            if self._retry.acquire(timeout=_PATIENCE):
                try:
                    self._close_failed()
                finally:
                    self._retry.release()

    # What happens when the disk refuses

    def _fail(self, w: Writer, exc: BaseException) -> None:
        with self._lock:
            first = self._writer is w
            if first:
                self._writer = None
                self._cause = exc.__cause__ or exc
                self._next_try = time.monotonic() + RETRY_EVERY
                self._failed.append(w)
        if first:
            self._on_fail(self.why())

    def why(self) -> str:
        cause = self._cause
        full = getattr(cause, "errno", None) in (errno.ENOSPC, errno.EDQUOT)
        hint = "make room on the disk" if full else "see to the disk"
        return f"{cause}: {hint} of {self.base}; the training can go on, and recording resumes by itself"

    def failure(self) -> str:
        """Why recording has stopped; empty while it goes on."""
        return self.why() if self._writer is None and self._cause is not None else ""

    def _refuse(self, kind: str) -> NotRecorded:
        if kind not in _OWN:
            with self._lock:
                self._lost[kind] = self._lost.get(kind, 0) + 1
        return NotRecorded(f"{kind} not recorded: {self.why()}")

    def look(self) -> None:
        """Goes on in a new part if the disk takes writes again."""
        if self._writer is None and not self._ended:
            self._reopen()

    def _reopen(self, force: bool = False) -> bool:
        if not (self._retry.acquire(timeout=_PATIENCE) if force else self._retry.acquire(blocking=False)):
            return False
        try:
            with self._lock:
                if self._writer is not None or self._ended:
                    return True
                if not force and time.monotonic() < self._next_try:
                    return False
                self._next_try = time.monotonic() + RETRY_EVERY
            self._close_failed()
            try:
                w = self._next_part()
            except (OSError, je.JournalError) as exc:
                self._cause = exc.__cause__ or exc
                return False
            with self._lock:
                self._writer, self._cause = w, None
                self.run_id, self.path = w.header["run_id"], w.path
        finally:
            self._retry.release()
        self._on_part(w.path)
        self._on_back()
        return True

    def _close_failed(self) -> None:
        """Closes the journals that have failed, which releases their locks and tells
        the sync that they are over. The next part continues the last of them."""
        for w in list(self._failed):
            try:
                w.close()
            except je.JournalError:
                pass  # the failure that is known already
            self.header["continues"] = w.header["run_id"]
            self._not_before = max(self._not_before or MIN_MICRO, w.last_time)
            with self._lock:
                self._doubt += w.logged - w.durable
                self._parts.append((w.logged, w.durable))
                self._failed.remove(w)

    def _next_part(self) -> Writer:
        """Makes a new folder, which says first what the ones before could not take."""
        _has_room(self.base)
        self.header["run_id"] = new_run_id()
        self.header["started_at"] = short_time(max(clock(), self._not_before or MIN_MICRO))
        w = self._create()
        try:
            self._confess(w)
        except BaseException:
            with self._lock:
                self._failed.append(w)
            raise
        return w

    def _confess(self, w: Writer) -> None:
        with self._lock:
            now, doubt = dict(self._lost), self._doubt
        said: Dict[str, Any] = {"not_recorded": {k: n - self._told.get(k, 0) for k, n in now.items() if n > self._told.get(k, 0)}}
        if doubt:
            said["unconfirmed"] = doubt
        w.append("heartbeat", record.encode("heartbeat", said), True)
        with self._lock:
            self._told = now
            self._doubt -= doubt

    def counts(self) -> Counts:
        with self._lock:
            writers = self._failed + ([self._writer] if self._writer is not None else [])
            # Durable first, so that it never seems to be ahead.
            durable = sum(d for _, d in self._parts) + sum(w.durable for w in writers)
            logged = sum(n for n, _ in self._parts) + sum(w.logged for w in writers)
            return Counts(logged, durable, sum(self._lost.values()))


def _has_room(base: str) -> None:
    """Raises OSError unless the disk takes writes again."""
    os.makedirs(base, exist_ok=True)
    fd, path = tempfile.mkstemp(prefix=".room-", dir=base)
    try:
        left = ROOM
        while left > 0:
            left -= os.write(fd, bytes(left))
        os.fsync(fd)
    finally:
        os.close(fd)
        os.remove(path)
