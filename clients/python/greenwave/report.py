"""Where a run stands, and how it has ended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional, Tuple


@dataclass(frozen=True)
class Report:
    """Where a run stands. Records are counted with the run's own lines (heartbeats,
    resources, the end), over all folders of the run."""

    experiment: str
    run_id: str
    dir: str
    status: str  # running, completed, failed, interrupted or paused
    logged: int  # written to the journal: survives kill -9 of the process
    durable: int  # of these, on the disk: survives a power cut
    synced: int  # of these, confirmed by the destination
    dead: int  # of the synced, refused by the destination, with a reason
    skipped: int  # steps left out by log_interval
    not_recorded: int  # calls that raised NotRecorded
    sync: str  # "program" when the greenwave program sends, "none" when nobody does
    last_error: str  # what is wrong now with the disk or the destination


def outcome(exc: Optional[BaseException]) -> Tuple[str, str]:
    if exc is None:
        return "completed", ""
    if isinstance(exc, SystemExit):
        if exc.code in (None, 0):
            return "completed", ""
        return "interrupted", f"the program ended with {exc.code}"
    if isinstance(exc, (KeyboardInterrupt, GeneratorExit)):
        return "interrupted", words(exc)
    return "failed", words(exc)


def words(cause: object) -> str:
    if isinstance(cause, BaseException):
        text = str(cause)
        return f"{type(cause).__name__}: {text}" if text else type(cause).__name__
    return str(cause)
