"""Writes a run's journal. docs/journal-format.md is the specification.

A record is written by one write(). What the writer knows of the file is one tuple
that is replaced as a whole, and what is about to be written is noted before: a
KeyboardInterrupt between any two instructions leaves a journal that the next call
finds in order.
"""

from __future__ import annotations

import errno
import hashlib
import os
import sys
import threading
import time
import weakref
from typing import Any, Callable, Dict, List, Mapping, Optional, Tuple

from .errors import Closed, Failed, Forked, Invalid, JournalError, Reentered, TooLarge
from .folder import PLAIN, TMP, folder_name, is_run_id, list_run, segment_name
from .line import (
    HEADER,
    MAX_LINE,
    MAX_MICRO,
    MIN_MICRO,
    SEAL,
    Clock,
    check_record,
    line_size,
    make_line,
    parse_rfc3339,
    short_time,
    to_json,
)
from .lock import lock_run, sync_file, sync_folder

FORMAT = 1
SEGMENT_SIZE = 64 << 20
SYNC_EVERY = 0.05
_SEAL_SIZE = 256  # about what a seal needs
_HASH_AT = 1 << 20  # bytes that may wait to be hashed

# The fields of a header in their order.
FIELDS = (
    "format", "run_id", "experiment", "description", "config", "metadata", "host", "os", "pid", "program",
    "versions", "git_commit", "git_dirty", "started_at", "continues", "log_interval",
)  # fmt: skip


def clock() -> int:
    """The time in microseconds since 1970."""
    return time.time_ns() // 1000


class Segment:
    """An open segment. Its bytes are hashed behind the writer's back, from the file."""

    def __init__(self, path: str, number: int, first: int, flags: int) -> None:
        self.path, self.number, self.first = path, number, first
        self.fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | flags, 0o644)
        # The hash and how far it goes: replaced as a whole.
        self.hashed: Tuple[Any, int] = (hashlib.sha256(), 0)

    def hash_to(self, size: int) -> Any:
        while True:
            h, at = self.hashed
            if at >= size:
                return h
            part = os.pread(self.fd, min(size - at, 1 << 20), at)
            if not part:
                raise OSError(errno.EIO, "the file is shorter than what was written", self.path)
            h = h.copy()
            h.update(part)
            self.hashed = (h, at + len(part))

    def close(self) -> None:
        fd, self.fd = self.fd, -1
        if fd >= 0:
            os.close(fd)


class Writer:
    """Appends to a run's journal. Its methods may be called from any thread, and by
    one process only: after a fork the child gets Forked."""

    def __init__(
        self,
        base: str,
        header: Mapping[str, Any],
        *,
        now: Callable[[], int] = clock,
        not_before: Optional[int] = None,
        segment_size: int = 0,
        sync_every: float = SYNC_EVERY,
        on_error: Optional[Callable[[JournalError], None]] = None,
    ) -> None:
        """Makes <base>/<experiment folder>/<run id>/, locks it and writes the header,
        which is durable then. Every line's time is after not_before."""
        self.header = _check_header(header, now)
        self.path = os.path.join(base, folder_name(self.header["experiment"]), self.header["run_id"])
        self._now, self._limit, self._every = now, segment_size or SEGMENT_SIZE, sync_every
        self._on_error = on_error
        self._clock = Clock()
        # (last sequence number, bytes of the segment, time of the last line, lines)
        self._state = (0, 0, MIN_MICRO if not_before is None else not_before, 0)
        self._pending: Optional[Tuple[Tuple[int, int, int, int], int]] = None
        self._error: Optional[JournalError] = None
        self._closed = False
        self._lock = threading.RLock()
        # Taken before _lock by whoever makes the journal durable; never held while
        # appending, so that an append waits for a disk only when it asks to.
        self._sync_lock = threading.RLock()
        self._synced = 0  # lines that are durable
        self._durable = 0  # last durable record
        self._rotated: List[Segment] = []  # sealed and not yet durable
        self._new_names = False
        self._waiting = False
        self._dirty = threading.Event()
        self._stop = threading.Event()
        self._thread: Optional[threading.Thread] = None
        self._begin()
        _writers.add(self)

    # Beginning

    def _begin(self) -> None:
        try:
            os.makedirs(self.path, exist_ok=True)
        except OSError as exc:
            raise Failed(f"create journal: {exc}: choose a folder that may be written to") from exc
        self._lock_fd = lock_run(self.path)
        try:
            if list_run(self.path).segments:
                raise Invalid(f"create journal: {self.path} has a journal: resume it by a new run that continues it")
            final = os.path.join(self.path, segment_name(1, 1) + PLAIN)
            self._open(final + TMP, 1, 1, os.O_TRUNC, "")
            try:
                sync_file(self._segment.fd)
                os.rename(final + TMP, final)
                self._segment.path = final
                # The names of the folders above count too.
                experiment = os.path.dirname(self.path)
                for folder in (self.path, experiment, os.path.dirname(experiment)):
                    sync_folder(folder)
            except BaseException:
                self._segment.close()
                raise
            self._synced = self._state[3]
        except OSError as exc:
            os.close(self._lock_fd)
            raise Failed(f"create journal: {exc}: nothing was recorded") from exc
        except BaseException:
            os.close(self._lock_fd)
            raise

    def _open(self, path: str, number: int, first: int, flags: int, prev: str) -> None:
        """Makes the file of a segment and writes its header."""
        data = to_json({**self.header, "segment": number, "first_seq": first, "prev_sha256": prev})
        if line_size(0, HEADER, len(data)) > MAX_LINE:
            raise TooLarge(f"the header has {len(data)} bytes, a line at most {MAX_LINE}")
        self._segment = Segment(path, number, first, flags)
        seq, _, micro, lines = self._state
        self._state = (seq, 0, micro, lines)
        self._write(seq, 0, HEADER, data)

    # Appending

    def append(self, kind: str, data: bytes, durable: bool = False) -> int:
        """Writes one record and returns its number. With durable it returns after
        fdatasync; otherwise that follows within 100 ms. When it returns the record
        survives kill -9. After an error other than Invalid and TooLarge every further
        call fails."""
        check_record(kind, data)
        if self._lock._is_owned() or self._sync_lock._is_owned():  # type: ignore[attr-defined]
            self._mend()
        with self._lock:
            seq = self._append(kind, data)
            _, size, _, target = self._state
            wake = not self._waiting and (not durable or size - self._segment.hashed[1] > _HASH_AT)
            if wake:
                self._waiting = True
        if wake:
            self._wake()
        if durable:
            self._sync(target)
        return seq

    def _append(self, kind: str, data: bytes) -> int:
        if self._error is not None:
            raise self._again()
        if self._closed:
            raise Closed("journal is closed")
        if self._pending is not None:
            self._settle()
        seq = self._state[0] + 1
        n = line_size(seq, kind, len(data))
        if n > MAX_LINE:
            raise TooLarge(f"{kind} of {n} bytes: at most {MAX_LINE} are allowed")
        if self._state[1] + n + _SEAL_SIZE > self._limit and seq > self._segment.first:
            self._rotate(seq)
        self._write(seq, seq, kind, data)
        return seq

    def _write(self, seq: int, number: int, kind: str, data: bytes) -> None:
        """Appends one line by one write. seq is the last record's number afterwards,
        number the one in the line."""
        _, size, micro, lines = self._state
        micro = max(micro + 1, min(self._now(), MAX_MICRO))
        line = make_line(number, self._clock.text(micro), kind, data)
        new = (seq, size + len(line), micro, lines + 1)
        self._pending = (new, size)
        try:
            wrote = os.write(self._segment.fd, line)
        except OSError as exc:
            self._pending = None
            raise self._fail(f"write {self._segment.path} at offset {size}: {exc}", exc) from exc
        if wrote < len(line):
            self._pending = None
            cause = self._cut(size)
            raise self._fail(f"write {self._segment.path} at offset {size}: {wrote} of {len(line)} bytes were taken{cause}", _full())
        self._state = new
        self._pending = None

    def _settle(self) -> None:
        """Finds out what became of a line whose write was interrupted by an exception
        of a signal handler."""
        assert self._pending is not None
        new, old = self._pending
        try:
            size = os.fstat(self._segment.fd).st_size
        except OSError as exc:
            raise self._fail(f"look at {self._segment.path}: {exc}", exc) from exc
        if size == new[1]:
            self._state = new
        elif size != old:
            cause = self._cut(old)
            self._pending = None
            raise self._fail(f"{self._segment.path} has {size} bytes, expected {old} or {new[1]}{cause}", None)
        self._pending = None

    def _cut(self, size: int) -> str:
        """Takes away an unfinished line, where that is possible."""
        try:
            os.ftruncate(self._segment.fd, size)
            return ""
        except OSError as exc:
            return f" (and the unfinished line stays: {exc})"

    def _rotate(self, seq: int) -> None:
        """Seals the open segment and begins the next one, whose first record is seq.
        The fdatasync of both is left to _sync."""
        old = self._segment
        try:
            self._seal({})
            prev = old.hash_to(self._state[1]).hexdigest()
            self._rotated.append(old)
            self._new_names = True
            number = old.number + 1
            self._open(os.path.join(self.path, segment_name(number, seq) + PLAIN), number, seq, os.O_EXCL, prev)
        except JournalError:
            raise
        except OSError as exc:
            raise self._fail(f"begin a segment behind {old.path}: {exc}", exc) from exc
        except BaseException as exc:
            self._fail(f"begin a segment behind {old.path}: interrupted by {type(exc).__name__}", None)
            raise

    def _seal(self, more: Dict[str, Any]) -> None:
        seq, size, _, _ = self._state
        seal = {"records": seq + 1 - self._segment.first, "last_seq": seq, "sha256": self._segment.hash_to(size).hexdigest()}
        self._write(seq, 0, SEAL, to_json({**seal, **more}))

    def _fail(self, what: str, cause: Optional[BaseException]) -> JournalError:
        """Makes the journal fail, for good."""
        if self._error is None:
            self._error = Failed(f"{what}: nothing more is recorded here; {_remedy(cause)}")
            self._error.__cause__ = cause
        return self._again()

    def _again(self) -> JournalError:
        """The first error, as an exception of its own: one is not raised twice."""
        first = self._error
        assert first is not None
        again = type(first)(*first.args)
        again.__cause__ = first.__cause__
        return again

    # Making durable

    def _wake(self) -> None:
        with self._lock:
            if self._thread is None and not self._closed:
                thread = threading.Thread(target=self._loop, name="greenwave-sync", daemon=True)
                try:
                    thread.start()
                    self._thread = thread
                except RuntimeError:  # the interpreter is ending: nobody works in the background
                    self._waiting = False
        if self._thread is None:
            self._sync(self._state[3])
        self._dirty.set()

    def _loop(self) -> None:
        """Makes what is appended durable in time. It waits for nothing while nothing
        is appended."""
        while True:
            self._dirty.wait()
            self._dirty.clear()
            if self._stop.wait(self._every):
                return
            with self._lock:
                target = self._state[3]
                known = self._error is not None  # the caller of append has been told
            try:
                self._sync(target)
                segment, size = self._segment, self._state[1]
                with self._sync_lock:
                    if segment is self._segment and segment.fd >= 0:
                        segment.hash_to(min(size, os.fstat(segment.fd).st_size))
            except JournalError as exc:
                if not known and self._on_error is not None:
                    self._on_error(exc)
            except OSError:
                pass  # the seal meets it again and says so

    def _sync(self, target: int) -> None:
        """Makes the first target lines durable. Whoever comes first works for all who
        wait. A failed fdatasync is never made again: the kernel may have dropped the
        pages and would say that all is well."""
        with self._sync_lock:
            with self._lock:
                if self._synced >= target:
                    return
                if self._error is not None:
                    raise self._again()
                segment, (seq, _, _, lines) = self._segment, self._state
                rotated, new_names = list(self._rotated), self._new_names
                self._waiting = False
            try:
                for s in rotated + [segment]:
                    sync_file(s.fd)
                if new_names:
                    sync_folder(self.path)
            except OSError as exc:
                with self._lock:
                    raise self._fail(f"make {segment.path} durable: {exc}", exc) from exc
            with self._lock:
                self._synced, self._durable = lines, seq
                del self._rotated[: len(rotated)]
                if not self._rotated and segment is self._segment:
                    self._new_names = False
            for s in rotated:
                s.close()

    def _mend(self) -> None:
        """For a thread that has a lock when it comes in. Either its signal handler
        logs in the middle of a record, which cannot be, or (before Python 3.11) an
        exception of a handler came between the end of a with block and the release."""
        frame = sys._getframe(1).f_back
        while frame is not None:
            if frame.f_code.co_filename == __file__ and frame.f_locals.get("self") is self:
                raise Reentered("a signal handler logged in the middle of a record: raise SystemExit there and log where it is caught")
            frame = frame.f_back
        for lock in (self._lock, self._sync_lock):
            while lock._is_owned():  # type: ignore[attr-defined]
                lock.release()

    def flush(self) -> None:
        """Makes everything appended so far durable."""
        self._mend()
        with self._lock:
            if self._error is not None:
                raise self._again()
            target = self._state[3]
        self._sync(target)

    def close(self) -> None:
        """Makes everything durable, seals the last segment and unlocks. Closing twice
        is safe. When the journal has failed it raises that error."""
        self._mend()
        with self._lock:
            first, self._closed = not self._closed, True
            if first and self._error is None:
                try:
                    if self._pending is not None:
                        self._settle()
                    self._seal({"final": True})
                except OSError as exc:
                    self._fail(f"seal {self._segment.path}: {exc}", exc)
                except JournalError:
                    pass  # kept, and raised below
            target = self._state[3]
        self._stop.set()
        self._dirty.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()
        try:
            if self._error is None:
                self._sync(target)
        except JournalError:
            pass
        with self._sync_lock, self._lock:
            for s in self._rotated + [self._segment]:
                s.close()
            fd, self._lock_fd = self._lock_fd, -1
            if fd >= 0:
                os.close(fd)
            if self._error is not None:
                raise self._again()

    @property
    def logged(self) -> int:
        """The number of the last record that was written."""
        return self._state[0]

    @property
    def durable(self) -> int:
        """The number of the last record that fdatasync has confirmed."""
        return self._durable

    @property
    def last_time(self) -> int:
        """The time of the last line, in microseconds since 1970."""
        return self._state[2]

    def _forked(self) -> None:
        """In the child of a fork: the files and the lock belong to the parent."""
        self._lock, self._sync_lock = threading.RLock(), threading.RLock()
        self._thread = None
        self._error = Forked(
            "the run belongs to the process that began it, and this is a fork of it: "
            "log in the process that began the run, or begin a run of its own here"
        )
        for s in self._rotated + [self._segment]:
            s.close()
        fd, self._lock_fd = self._lock_fd, -1
        if fd >= 0:
            os.close(fd)  # closing does not release the lock, the parent holds it


_writers: "weakref.WeakSet[Writer]" = weakref.WeakSet()


def _after_fork() -> None:
    for w in list(_writers):
        w._forked()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def _check_header(h: Mapping[str, Any], now: Callable[[], int]) -> Dict[str, Any]:
    """The header with its fields in order; what is not set is left out."""
    if not is_run_id(h.get("run_id", "")):
        raise Invalid(f"create journal: run id {h.get('run_id')!r} must be a UUID in lower case")
    if h.get("continues") and not is_run_id(h["continues"]):
        raise Invalid(f"create journal: the run that it continues: {h['continues']!r} must be a UUID in lower case")
    if not h.get("experiment"):
        raise Invalid("create journal: the experiment has no name")
    for name in ("config", "metadata"):
        if h.get(name) is not None and not isinstance(h[name], Mapping):
            raise Invalid(f"create journal: {name} must be an object")
    started = h.get("started_at") or short_time(now())
    full: Dict[str, Any] = {**h, "format": FORMAT, "started_at": short_time(parse_rfc3339(started))}
    if full.get("versions"):
        full["versions"] = dict(sorted(full["versions"].items()))
    keep_empty = ("config", "metadata")
    return {k: full[k] for k in FIELDS if k in full and (full[k] or k in keep_empty and full[k] is not None)}


def _full() -> OSError:
    return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _remedy(cause: Optional[BaseException]) -> str:
    code = getattr(cause, "errno", None)
    if code in (errno.ENOSPC, errno.EDQUOT):
        return "make room on the disk"
    if code == errno.EIO:
        return "check the disk (dmesg, smartctl)"
    if code == errno.EROFS:
        return "mount the file system for writing"
    return "set that right"
