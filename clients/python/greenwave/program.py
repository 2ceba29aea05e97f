"""The greenwave program: found, started beside the training, or run to an end."""

from __future__ import annotations

import json
import logging
import os
import shutil
import subprocess
import sys
import time
from typing import Any, Dict, List, Optional

from .errors import ProgramFailed, ProgramMissing

log = logging.getLogger("greenwave")

SYNC_LOG = "sync.log"  # in a run's folder: the output of the program that sends it
REFUSED = 3  # exit code: done, and something was refused

HOW_TO_GET = (
    "get it with `go install github.com/greenwave-traffic/greenwave/cmd/greenwave@latest`, or with `make install` "
    "in the repository, and put it into PATH or name it in GREENWAVE_BIN"
)


def find(configured: Optional[str] = None) -> str:
    """The path of the program: as configured, as GREENWAVE_BIN says, beside the
    interpreter, or in PATH. Raises ProgramMissing, which says how to get it."""
    for origin, name in (("program", configured), ("GREENWAVE_BIN", os.environ.get("GREENWAVE_BIN"))):
        if name:
            path = shutil.which(name)
            if path is None:
                raise ProgramMissing(f"{origin} is {name!r}, which is not a program that can be run: {HOW_TO_GET}")
            return os.path.abspath(path)
    beside = os.path.join(os.path.dirname(sys.executable or ""), "greenwave")
    path = shutil.which(beside) or shutil.which("greenwave")
    if path is None:
        raise ProgramMissing(f"the greenwave program was not found: {HOW_TO_GET}")
    return os.path.abspath(path)


def database_named() -> bool:
    """Whether the environment or database_config.json names a database."""
    names = ("GREENWAVE_DB", "DATABASE_URL", "SUPABASE_URL", "SUPABASE_HOST")
    return any(os.environ.get(n) for n in names) or os.path.exists("database_config.json")


def run(args: List[str], *, program: Optional[str] = None, database: Optional[str] = None) -> Dict[str, Any]:
    """Runs the program to its end and returns the last JSON object that it printed.
    "refused" in it says that some records were refused. The database goes into the
    environment: everybody on the machine can read arguments."""
    path = find(program)
    env = dict(os.environ)
    if database:
        env["GREENWAVE_DB"] = database
    done = subprocess.run([path, *args, "--json"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env)
    said = done.stderr.decode("utf-8", "replace").strip()
    if done.returncode not in (0, REFUSED):
        raise ProgramFailed(f"greenwave {args[0]}: {said or 'it ended without a word'}", done.returncode, said)
    if said:
        log.warning("greenwave %s: %s", args[0], said)
    result = _last_object(done.stdout.decode("utf-8", "replace"))
    result["refused"] = done.returncode == REFUSED
    return result


def _last_object(text: str) -> Dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        value = None
        for line in text.splitlines():
            try:
                value = json.loads(line)
            except ValueError:
                continue
    return value if isinstance(value, dict) else {}


class Sender:
    """Sends one part of a run with the program, which reads the journal like any other
    reader: it finishes the work when the trainer is killed, and then ends by itself.
    Its methods are called by one thread at a time."""

    FIRST, LONGEST = 1.0, 60.0  # seconds before it is started again

    def __init__(self, path: str, database: Optional[str], run_path: str) -> None:
        self.path, self.database, self.run_path = path, database, run_path
        self.done = False  # nothing more will be sent, or need be
        self.error = ""
        self._process: Optional["subprocess.Popen[bytes]"] = None
        self._pause, self._next = self.FIRST, 0.0
        self._start()

    def _start(self) -> None:
        env = dict(os.environ)
        if self.database:
            env["GREENWAVE_DB"] = self.database
        try:
            # A file, not a pipe: a pipe would break when the trainer dies.
            with open(os.path.join(self.run_path, SYNC_LOG), "ab") as out:
                self._process = subprocess.Popen(
                    [self.path, "sync", self.run_path, "--follow", "--until-ended", "--json"],
                    stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=env,
                    start_new_session=True,  # ctrl-C on the trainer's terminal does not reach it
                )  # fmt: skip
        except OSError as exc:
            self._trouble(f"start {self.path}: {exc}")

    def _trouble(self, what: str) -> None:
        if not self.error:
            log.warning("the program that sends the records has ended; recording goes on: %s", what)
        self.error = what
        self._process = None
        self._next = time.monotonic() + self._pause
        self._pause = min(2 * self._pause, self.LONGEST)

    def look(self) -> bool:
        """Sees to the program: starts it again when it was killed. True when all is
        sent, or nothing more can be done."""
        if self.done:
            return True
        if self._process is None:
            if time.monotonic() >= self._next:
                self._start()
            return False
        code = self._process.poll()
        if code is None:
            return False
        if code in (0, REFUSED):
            self.done, self.error = True, ""
            return True
        where = os.path.join(self.run_path, SYNC_LOG)
        if code == 2:
            self._trouble(f"{self.path} does not understand what it was asked (see {where}): use the one of this version")
            self.done = True
            return True
        self._trouble(f"{self.path} ended with {code} (see {where})")
        return False

    def wait(self, deadline: float) -> bool:
        """Waits until all is sent, for no longer than the deadline."""
        while not self.look():
            left = deadline - time.monotonic()
            if left <= 0:
                break
            try:
                if self._process is not None:
                    self._process.wait(min(left, 1.0))
                else:
                    time.sleep(min(left, max(0.01, self._next - time.monotonic())))
            except subprocess.TimeoutExpired:
                pass
        if self._process is not None and self._process.returncode is None:
            _left.append(self._process)  # it stays, and ends by itself
        return self.done

    def sent(self) -> Dict[str, Any]:
        """What the program last said in its output; empty when it said nothing."""
        try:
            with open(os.path.join(self.run_path, SYNC_LOG), "rb") as f:
                f.seek(max(0, f.seek(0, os.SEEK_END) - (16 << 10)))
                text = f.read().decode("utf-8", "replace")
        except OSError:
            return {}
        for line in reversed(text.splitlines()):
            if line.startswith("{"):
                try:
                    said = json.loads(line)
                except ValueError:
                    continue
                if isinstance(said, dict) and said.get("run_id"):
                    return said
        return {}


_left: List["subprocess.Popen[bytes]"] = []


def forget_after_fork() -> None:
    _left.clear()
