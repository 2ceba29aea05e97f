"""A run that is being recorded: start or resume it, log to it, end it."""

from __future__ import annotations

import atexit
import logging
import os
import sys
import threading
import time
import weakref
from types import TracebackType
from typing import Any, Callable, Dict, List, Mapping, Optional, Type

from . import look_back, provenance, record, resources
from . import program as companion  # program is an option of a run
from .checkpoint import measure_file
from .errors import FieldError, Finished, GreenwaveError, NotRecorded, ProgramMissing
from .journal.line import short_time
from .journal.writer import clock
from .recorder import Place, Recorder
from .report import Report, outcome, words

log = logging.getLogger("greenwave")

OFFLINE, BATCH, REAL_TIME = "offline", "batch", "real-time"
_LONGEST_REASON = 4096

Fields = Mapping[str, Any]


def start(experiment: str, **options: Any) -> "Run":
    """Begins a run of the experiment. The options are those of Run.

    >>> import tempfile
    >>> with start("corridor", dir=tempfile.mkdtemp(), hyperparameters={"gamma": 0.97}) as run:
    ...     run.log_step(episode_number=1, step_number=0, immediate_reward=-0.5)
    ...     run.log_episode(episode_number=1, total_reward=-12.5, epsilon_value=0.9)
    True
    True
    >>> run.report().status
    'completed'
    """
    return Run(experiment, **options)


def resume(experiment: str, **options: Any) -> "Run":
    """Begins a run that continues the earlier runs of the experiment in dir, whatever
    ended them. Run.last_episode and Run.last_checkpoint say where to go on; what a
    crash left unfinished is repaired first. Without an earlier run it is start, so a
    job that may be killed and started again at any time always calls resume.

    While another process still records the experiment it raises Running."""
    base = os.path.abspath(options.get("dir", "runs"))
    trouble = provenance.experiment_trouble(experiment)
    if trouble:
        raise ValueError(trouble)
    return Run(experiment, _previous=look_back.look_back(base, experiment), **options)


class Run:
    """A run that is being recorded. Its methods may be called from any thread.

    The Log methods take the fields as keywords, or as one mapping, or both; which
    there are and what they mean is in docs/records.md. Fields of your own are kept in
    the column extra. numpy and torch values, NaN and infinity are welcome.

    When a Log method returns True, the record survives kill -9 of the process.
    Episodes, checkpoints, validations, baselines and the end of the run are on the
    disk by then; steps at most 100 ms later.
    """

    def __init__(
        self,
        experiment: str,
        *,
        dir: str = "runs",
        description: str = "",
        hyperparameters: Optional[Fields] = None,
        metadata: Optional[Fields] = None,
        log_interval: int = 1,
        destination: Optional[str] = None,
        destination_from_env: bool = False,
        mode: Optional[str] = None,
        program: Optional[str] = None,
        finish_timeout: float = 10.0,
        heartbeat_every: float = 10.0,
        resources_every: float = 10.0,
        errors: str = "raise",
        at_exit: str = "interrupted",
        _previous: Optional[look_back.Previous] = None,
    ) -> None:
        """Begins a run.

        experiment: the name of the line of training, 1 to 200 characters.
        dir: the folder that holds the runs; the journal is in dir/<experiment>/<run id>.
        hyperparameters, metadata: all settings of the training, and anything else.
        log_interval: records every n-th step, those whose step_number is a multiple.
        destination: postgres://… or sqlite:PATH; the greenwave program beside the
            training sends there. destination_from_env takes it from GREENWAVE_DB,
            DATABASE_URL, the SUPABASE_… variables or database_config.json.
        mode: real-time, batch (greenwave sync DIR later) or offline.
        program: the path of the greenwave program; by default GREENWAVE_BIN, beside
            the interpreter, or in PATH.
        finish_timeout: seconds that finish waits for the destination.
        heartbeat_every, resources_every: seconds; resources_every=0 measures nothing.
        errors: "raise", or "warn" to log an error once and return False instead.
        at_exit: how the run ends when the program ends in good order without finish.
        """
        trouble = provenance.experiment_trouble(experiment)
        if trouble:
            raise ValueError(trouble)
        if log_interval < 1:
            raise ValueError(f"log_interval is {log_interval}: must be 1 or more")
        if not 0 < heartbeat_every <= 60:
            raise ValueError(f"heartbeat_every is {heartbeat_every}: must be more than 0 and at most 60 seconds, because a run without a sign of life for two minutes is shown as interrupted")
        named = bool(destination) or destination_from_env
        mode = mode or (REAL_TIME if named else OFFLINE)
        if mode not in (OFFLINE, BATCH, REAL_TIME):
            raise ValueError(f"mode is {mode!r}: must be real-time, batch or offline")
        if errors not in ("raise", "warn"):
            raise ValueError(f"errors is {errors!r}: must be raise or warn")

        self.experiment = experiment
        self.log_interval = log_interval
        self._previous = _previous or look_back.Previous()
        self._errors, self._at_exit = errors, at_exit
        self._status = "running"
        self._skipped = 0
        self._ended = False
        self._finish_timeout = finish_timeout
        self._heartbeat_every, self._resources_every = heartbeat_every, resources_every
        self._end_lock = threading.RLock()
        self._end_error: Optional[BaseException] = None
        self._stop = threading.Event()
        self._complained: Dict[str, float] = {}
        self._pid = os.getpid()

        base = os.path.abspath(dir)
        self._base = base
        self._destination, self._sync_error = destination, ""
        self._program: Optional[str] = None
        self._senders: List[companion.Sender] = []
        if named and mode == REAL_TIME:
            self._find_program(program, destination_from_env)

        header = provenance.describe()
        header.update(run_id=provenance.new_run_id(), experiment=experiment, started_at=short_time(max(clock(), self._previous.last_time or 0)))
        header["description"] = description
        try:
            header["config"] = record.plain(hyperparameters) if hyperparameters else None
            header["metadata"] = record.plain(metadata) if metadata else None
        except ValueError as exc:
            raise ValueError(f"hyperparameters or metadata: {exc}") from None
        header["continues"] = self._previous.run_id
        header["log_interval"] = log_interval
        self._recorder = Recorder(base, header, self._previous.last_time, self._on_part, self._on_fail, self._on_back)
        self._threads = [threading.Thread(target=self._watch, name="greenwave-watch", daemon=True)]
        if resources_every > 0:
            self._threads.append(threading.Thread(target=self._measure, name="greenwave-resources", daemon=True))
        for t in self._threads:
            t.start()
        _open.add(self)

    # Who sends

    def _find_program(self, configured: Optional[str], from_env: bool) -> None:
        if not self._destination and from_env and not companion.database_named():
            return  # nobody has named a database
        try:
            self._program = companion.find(configured)
        except ProgramMissing as exc:
            self._sync_error = f"nobody sends the records: {exc}; then run: greenwave sync {self._base} --db URL"
            log.warning("the run is recorded offline: %s", self._sync_error)

    def _on_part(self, path: str) -> None:
        if self._program is not None:
            self._senders.append(companion.Sender(self._program, self._destination, path))

    def _on_fail(self, why: str) -> None:
        log.error("recording of %s has stopped: %s", self.experiment, why)

    def _on_back(self) -> None:
        log.warning("recording of %s goes on in %s", self.experiment, self.dir)

    # What it is

    @property
    def id(self) -> str:
        """The run's id, a UUID. It changes when recording had to go on in a new folder
        after a failure of the disk."""
        return self._recorder.run_id

    @property
    def dir(self) -> str:
        """The folder of the run's journal. It changes with id."""
        return self._recorder.path

    @property
    def last_episode(self) -> Optional[int]:
        """The number of the episode that the earlier runs logged last; None when they
        logged none, or the run was not begun by resume."""
        return self._previous.episode

    def last_checkpoint(self) -> Optional[Dict[str, Any]]:
        """The checkpoint that the earlier runs logged last."""
        return self._previous.checkpoint()

    # Logging

    def log_step(self, step: Optional[Fields] = None, /, **fields: Any) -> bool:
        """Records a decision interval, or leaves it out: see log_interval. Needs
        episode_number and step_number."""
        if step is not None:
            fields = {**step, **fields}
        if self.log_interval > 1:
            number = fields.get("step_number")
            if number is not None and number % self.log_interval:
                if self._ended:
                    return self._guard(self._finished)
                self._skipped += 1
                return True
        if self._errors == "raise":
            self._recorder.append("step", record.encode("step", fields), False)
            return True
        return self._guard(lambda: self._write("step", fields, False))

    def log_episode(self, episode: Optional[Fields] = None, /, **fields: Any) -> bool:
        """Records a finished episode: with it, and everything that was logged before,
        on the disk when it returns. Needs episode_number and total_reward."""
        return self._durably("episode", episode, fields)

    def log_validation(self, validation: Optional[Fields] = None, /, **fields: Any) -> bool:
        """Records a policy's evaluation on held-out scenarios."""
        return self._durably("validation", validation, fields)

    def log_baseline(self, baseline: Optional[Fields] = None, /, **fields: Any) -> bool:
        """Records a comparison with a controller that is not trained. Needs
        baseline_type."""
        return self._durably("baseline", baseline, fields)

    def log_experiment(self, experiment: Optional[Fields] = None, /, **fields: Any) -> bool:
        """Changes what is known of the experiment itself: description, config,
        metadata (merged by key), convergence_episode."""
        return self._durably("experiment", experiment, fields)

    def log_checkpoint(self, checkpoint: Optional[Fields] = None, /, **fields: Any) -> str:
        """Records a saved model and returns its id, to be named by the validation of
        it as checkpoint_id; "" when it was not recorded and errors is "warn". Needs
        checkpoint_type (regular, best or final) and model_path. Size and SHA-256 are
        taken from the file where they are not given, so save the model first; a path
        with a scheme, such as s3://bucket/model, is not read."""
        fields = {**(checkpoint or {}), **fields}
        place: List[Place] = []

        def write() -> None:
            path = fields.get("model_path")
            path = os.fspath(path) if isinstance(path, os.PathLike) else path
            missing = fields.get("model_size_mb") is None or not fields.get("model_hash")
            if isinstance(path, str) and path and "://" not in path and missing and not self._ended:
                size, digest = measure_file(path)
                if fields.get("model_size_mb") is None:
                    fields["model_size_mb"] = size / 1e6
                fields["model_hash"] = fields.get("model_hash") or digest
            place.append(self._write("checkpoint", fields, True))

        self._guard(write)
        return provenance.row_id(*place[0]) if place else ""

    def _durably(self, kind: str, given: Optional[Fields], fields: Dict[str, Any]) -> bool:
        if given is not None:
            fields = {**given, **fields}
        return self._guard(lambda: self._write(kind, fields, True))

    def _write(self, kind: str, fields: Fields, durable: bool) -> Place:
        return self._recorder.append(kind, record.encode(kind, fields), durable)

    def _guard(self, call: Callable[[], Any]) -> bool:
        if self._errors == "raise":
            call()
            return True
        try:
            call()
            return True
        except GreenwaveError as exc:
            self._complain(exc)
            return False

    def _complain(self, exc: GreenwaveError) -> None:
        """Says what is wrong, each thing at most once a minute."""
        key = f"{type(exc).__name__} {exc.field}" if isinstance(exc, FieldError) else type(exc).__name__
        now = time.monotonic()
        if now - self._complained.get(key, -60.0) >= 60.0:
            self._complained[key] = now
            log.error("not recorded in %s: %s", self.experiment, exc)

    def _finished(self) -> None:
        raise Finished("the run has ended")

    def flush(self) -> bool:
        """Returns when everything that was logged before is on the disk. It does not
        wait for the destination, which finish does."""
        return self._guard(self._recorder.flush)

    # In the background

    def _watch(self) -> None:
        beat = time.monotonic() + self._heartbeat_every
        while not self._stop.wait(min(1.0, self._heartbeat_every)):
            try:
                if time.monotonic() >= beat:
                    beat = time.monotonic() + self._heartbeat_every
                    self._recorder.append("heartbeat", b"{}", False)
                self._recorder.look()
                for s in list(self._senders):
                    s.look()
            except Finished:
                return
            except GreenwaveError:
                pass  # it is told where it happens, and shows in the report
            except Exception:
                log.exception("greenwave: the background work of a run has met something unexpected")

    def _measure(self) -> None:
        sampler = resources.Sampler()
        while not self._stop.wait(self._resources_every):
            try:
                self._recorder.append("resource", record.encode("resource", sampler.sample(self.dir)), False)
            except Finished:
                return
            except GreenwaveError:
                pass
            except Exception:
                log.exception("greenwave: what the process uses cannot be measured")

    # Ending

    def finish(self) -> Report:
        """Ends the run as completed: writes the end to the disk and then waits at most
        finish_timeout for the destination to confirm what is left. What is not
        confirmed stays in the journal for "greenwave sync", and is no error.

        The first of finish, fail, interrupt and pause decides how the run has ended;
        the others return the same."""
        return self._end("completed", "")

    def fail(self, cause: object = None) -> Report:
        """Ends the run as failed, with the cause in words."""
        return self._end("failed", words(cause) if cause is not None else "no cause was given")

    def interrupt(self, reason: str = "") -> Report:
        """Ends the run as interrupted: it could have gone on."""
        return self._end("interrupted", reason)

    def pause(self, reason: str = "") -> Report:
        """Ends the run as paused: somebody means to resume it."""
        return self._end("paused", reason)

    def _end(self, status: str, reason: str) -> Report:
        with self._end_lock:
            if not self._ended:
                self._ended = True
                self._guard(lambda: self._do_end(status, reason))
            elif self._end_error is not None and self._errors == "raise":
                raise self._end_error
            return self.report()

    def _do_end(self, status: str, reason: str) -> None:
        _open.discard(self)
        if os.getpid() != self._pid:
            raise GreenwaveError("the run belongs to the process that began it, and this is a fork of it")
        self._stop.set()
        for t in self._threads:
            if t is not threading.current_thread():
                t.join(1.0 if t.name == "greenwave-resources" else 10.0)  # a disk or driver may hang
        reason = "".join(c if c != "\0" else "?" for c in reason).encode("utf-8", "replace")[:_LONGEST_REASON].decode("utf-8", "ignore")
        end = {"status": status, "reason": reason or None}
        try:
            self._recorder.end(record.encode("end", end))
        except NotRecorded as exc:
            self._end_error = exc
            raise
        finally:
            self._status = status
            deadline = time.monotonic() + self._finish_timeout
            for s in self._senders:
                s.wait(deadline)
            self._summarize()

    def _summarize(self) -> None:
        r = self.report()
        waiting = r.logged - r.synced if self._program is not None else 0
        said = f"run {r.run_id} of {r.experiment} has ended as {r.status}: {r.logged} logged, {r.durable} durable"
        if self._program is not None:
            said += f", {r.synced} synced, {r.dead} refused, {waiting} waiting"
        if r.not_recorded or r.durable < r.logged:
            log.error("%s, %d not recorded", said, r.not_recorded)
        elif waiting:
            log.warning("%s: they are in the journal, run: greenwave sync %s", said, self._base)
        else:
            log.info("%s", said)

    def report(self) -> Report:
        """Where the run stands now. It never waits for a disk or a network."""
        synced = dead = 0
        trouble = self._sync_error
        for s in list(self._senders):  # first: what was confirmed was logged before
            said = s.sent()
            synced += said.get("synced", 0)
            dead += said.get("dead", 0)
            trouble = s.error or said.get("last_error") or trouble
        c = self._recorder.counts()
        return Report(
            self.experiment, self.id, self.dir, self._status, c.logged, c.durable, synced, dead, self._skipped,
            c.not_recorded, "program" if self._program else "none", self._recorder.failure() or trouble,
        )  # fmt: skip

    def __enter__(self: "Run") -> "Run":
        return self

    def __exit__(self, kind: Optional[Type[BaseException]], exc: Optional[BaseException], trace: Optional[TracebackType]) -> None:
        """Ends the run as the block has ended: in good order as completed, by ctrl-C or
        sys.exit with a code as interrupted, by any other exception as failed."""
        try:
            self._end(*outcome(exc))
        except GreenwaveError:
            if exc is None:
                raise
            log.exception("greenwave: the end of the run was not recorded")

    def __repr__(self) -> str:
        return f"<greenwave.Run {self.experiment!r} {self.id} {self._status}>"


# Runs that have not ended. At the end of the interpreter they end as the program did.
_open: "weakref.WeakSet[Run]" = weakref.WeakSet()


def _at_exit() -> None:
    for run in list(_open):
        if run._pid != os.getpid():
            continue
        exc = getattr(sys, "last_value", None)
        if exc is not None and not hasattr(sys, "ps1"):  # in a session that is an older error
            status, reason = outcome(exc)
        else:
            status = run._at_exit
            reason = "" if status == "completed" else "the program ended without finish()"
        try:
            run._end(status, reason)
        except Exception:
            log.exception("greenwave: the end of a run was not recorded")


def _after_fork() -> None:
    """The runs of a fork are its parent's."""
    _open.clear()
    companion.forget_after_fork()


atexit.register(_at_exit)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
