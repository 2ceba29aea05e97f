"""What the earlier runs of an experiment left."""

from __future__ import annotations

import json
import logging
import os
from dataclasses import dataclass, field
from typing import Any, Dict, List, Optional

from .errors import GreenwaveError, Running
from .journal import errors as je
from .journal.folder import folder_name, is_run_id, list_run
from .journal.line import parse_rfc3339
from .journal.reader import Info, last_record, stat
from .journal.recovery import recover

log = logging.getLogger("greenwave")


@dataclass
class Previous:
    runs: List[Info] = field(default_factory=list)  # by start time
    run_id: Optional[str] = None  # of the last one
    last_time: Optional[int] = None  # of all lines
    episode: Optional[int] = None  # the one logged last

    def last(self, kind: str) -> Optional[Dict[str, Any]]:
        """The record of a kind that was logged last."""
        for run in reversed(self.runs):
            data = last_record(run.path, kind)
            if data is not None:
                found = json.loads(data)
                return found if isinstance(found, dict) else None
        return None

    def checkpoint(self) -> Optional[Dict[str, Any]]:
        return self.last("checkpoint")


def look_back(base: str, experiment: str) -> Previous:
    """Reads the earlier runs of an experiment, and repairs what a crash left."""
    folder = os.path.join(base, folder_name(experiment))
    prev = Previous()
    if not os.path.isdir(folder):
        return prev
    for path in find_runs(folder):
        try:
            info = stat(path)
            if info.live:
                raise Running(
                    f"run {info.header['run_id']} of {experiment!r} is being recorded by process {info.header.get('pid')} "
                    f"on {info.header.get('host')}: stop it first, or use start to record beside it"
                )
            if not info.sealed:
                done = recover(path)
                log.info("repaired a run that did not end in good order: %s (%d bytes trimmed)", path, done.trimmed)
                for where in done.quarantined:
                    log.warning("a damaged line was put into quarantine: %s in %s", where, path)
                info = stat(path)
        except je.Empty:
            continue  # its writer ended before the first record
        except je.Locked as exc:
            raise Running(f"{exc}: stop it first, or use start to record beside it") from exc
        except (je.JournalError, OSError) as exc:
            raise GreenwaveError(f"an earlier run of {experiment!r} cannot be read: {exc}: mend it or move it away, or use start") from exc
        prev.runs.append(info)
    prev.runs.sort(key=lambda r: (parse_rfc3339(r.header["started_at"]), r.path))
    for r in prev.runs:
        prev.run_id = r.header["run_id"]
        prev.last_time = max(prev.last_time or r.last_time, r.last_time)
    episode = prev.last("episode")
    if episode is not None:
        prev.episode = int(episode["episode_number"])
    return prev


def find_runs(folder: str) -> List[str]:
    """The folders of runs at or below a folder."""
    try:
        listing = list_run(folder)
    except OSError as exc:
        raise GreenwaveError(f"{folder} cannot be read: {exc}") from exc
    if listing.segments or listing.locked and is_run_id(os.path.basename(folder)):
        return [folder]
    with os.scandir(folder) as entries:
        below = sorted(e.path for e in entries if e.is_dir(follow_symlinks=False))
    return [run for path in below for run in find_runs(path)]
