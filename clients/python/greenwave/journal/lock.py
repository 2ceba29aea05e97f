"""The lock of a run: who holds it, writes."""

from __future__ import annotations

import json
import os
import socket
import time
from typing import Optional

from .errors import Locked
from .folder import LOCK
from .line import short_time, to_json

try:
    import fcntl
except ImportError as exc:  # Windows
    raise ImportError(
        "the Python client of Greenwave needs flock, which this system does not have: "
        "use Linux, macOS or the Windows Subsystem for Linux"
    ) from exc


def lock_run(path: str) -> int:
    """Takes the run's lock and returns its file descriptor. The file stays when the
    lock is released: removing it would let two processes hold locks on two files of
    the same name."""
    fd = os.open(os.path.join(path, LOCK), os.O_RDWR | os.O_CREAT, 0o644)
    try:
        # A reader's glance at the lock takes it shared for an instant. While sharing
        # it is possible no writer holds it: try again.
        for _ in range(1000):
            if _flock(fd, fcntl.LOCK_EX):
                break
            if not _flock(fd, fcntl.LOCK_SH):
                raise Locked(f"{path}: another process writes to this journal{_holder(fd)}: end it first, or log to a new run")
            time.sleep(0.001)
        else:
            raise Locked(f"{path}: the lock is looked at without a pause: try again")
        text = to_json({"pid": os.getpid(), "host": socket.gethostname(), "since": short_time(int(time.time()) * 1_000_000)})
        try:
            os.ftruncate(fd, 0)
            os.pwrite(fd, text + b"\n", 0)
        except OSError:
            pass  # a full disk only costs the name in a message
        return fd
    except BaseException:
        os.close(fd)
        raise


def _flock(fd: int, how: int) -> bool:
    try:
        fcntl.flock(fd, how | fcntl.LOCK_NB)
        return True
    except BlockingIOError:
        return False


def _holder(fd: int) -> str:
    try:
        h = json.loads(os.pread(fd, 4096, 0))
        return " (process %d on %s since %s)" % (h["pid"], h["host"], h["since"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def held(path: str) -> bool:
    """Whether a process holds the run's lock, without disturbing it."""
    try:
        fd: Optional[int] = os.open(os.path.join(path, LOCK), os.O_RDONLY)
    except FileNotFoundError:
        return False
    assert fd is not None
    try:
        return not _flock(fd, fcntl.LOCK_SH)
    finally:
        os.close(fd)


def sync_file(fd: int) -> None:
    """fdatasync, or what comes nearest: the bytes and the size survive a power cut."""
    if hasattr(os, "fdatasync"):
        os.fdatasync(fd)
    elif hasattr(fcntl, "F_FULLFSYNC"):  # macOS, where fsync does not reach the disk
        fcntl.fcntl(fd, fcntl.F_FULLFSYNC)
    else:
        os.fsync(fd)


def sync_folder(path: str) -> None:
    """Makes the names in a folder durable."""
    fd = os.open(path, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
