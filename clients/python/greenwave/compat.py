"""The names of the guide, on top of the journal.

The guide's snippets work as they are written, with `from greenwave.compat import …` or
with `from database_integration import …`:

    logger = ProductionLoggerWithDB(experiment_name="production_run", enable_db=True, log_interval=10)
    await logger.initialize(training_config)
    await logger.log_episode(episode_data)

    stats = DatabaseManager().sync_local_logs_to_db("production_logs")
    print(f"Synced {stats['episodes']} episodes")

What is logged goes to journals below production_logs/; there are no other files. A
call has recorded when it returns: await is allowed and does not wait for anything.
"""

from __future__ import annotations

import logging
import os
from typing import Any, Callable, Dict, Generator, Generic, List, Mapping, Optional, Type, TypeVar

from . import program
from .journal.reader import read_header
from .look_back import find_runs
from .report import Report
from .run import Run, start

log = logging.getLogger("greenwave")

__all__ = ["DatabaseManager", "ProductionLogger", "ProductionLoggerWithDB"]

LOG_DIR = "production_logs"
DEFAULT_DATABASE = "sqlite:greenwave.db"  # the program's own

_T = TypeVar("_T")


class Done(Generic[_T]):
    """The result of a call that is over, for callers that await it and for callers
    that do not.

    >>> bool(Done(True)), Done("id").result
    (True, 'id')
    """

    def __init__(self, result: _T) -> None:
        self.result = result

    def __await__(self) -> Generator[Any, None, _T]:
        return self.result
        yield  # makes this a generator

    def __bool__(self) -> bool:
        return bool(self.result)

    def __eq__(self, other: object) -> bool:
        return bool(self.result == (other.result if isinstance(other, Done) else other))

    def __hash__(self) -> int:
        return hash(self.result)

    def __str__(self) -> str:
        return str(self.result)

    def __repr__(self) -> str:
        return f"Done({self.result!r})"


class ProductionLogger:
    """Logs to journals below production_logs/ and needs no database.

    The run begins with initialize or with the first record, and ends with close, with
    the block of a with statement, or with the program. What cannot be recorded is said
    in the log, and the call returns False: a training is not stopped by it."""

    _database = False

    def __init__(
        self,
        experiment_name: str,
        log_interval: int = 1,
        log_dir: str = LOG_DIR,
        config: Optional[Mapping[str, Any]] = None,
        **options: Any,
    ) -> None:
        """options are those of greenwave.Run, such as description or metadata."""
        self.experiment_name, self.log_interval, self.log_dir = experiment_name, log_interval, log_dir
        self._config = config
        self._options = {"errors": "warn", "at_exit": "completed", **options}
        self._run: Optional[Run] = None

    @property
    def run(self) -> Run:
        """The run, begun when it is first needed."""
        if self._run is None:
            self._run = start(
                self.experiment_name, dir=self.log_dir, log_interval=self.log_interval,
                hyperparameters=self._config, **self._destination(), **self._options,
            )  # fmt: skip
        return self._run

    def _destination(self) -> Dict[str, Any]:
        return {}

    def initialize(self, config: Optional[Mapping[str, Any]] = None, **more: Any) -> "Done[bool]":
        """Begins the run, with all settings of the training."""
        settings = {**(config or {}), **more}
        if self._run is not None:
            return Done(self._run.log_experiment(config=settings) if settings else True)
        self._config = {**(self._config or {}), **settings}
        return Done(self.run is not None)

    def log_step(self, step_data: Optional[Mapping[str, Any]] = None, /, **fields: Any) -> "Done[bool]":
        """Records every log_interval-th step."""
        return Done(self.run.log_step(step_data, **fields))

    def log_episode(self, episode_data: Optional[Mapping[str, Any]] = None, /, **fields: Any) -> "Done[bool]":
        """Records an episode; it is on the disk when the call returns."""
        return Done(self.run.log_episode(episode_data, **fields))

    def log_checkpoint(self, checkpoint_data: Optional[Mapping[str, Any]] = None, /, **fields: Any) -> "Done[str]":
        """Records a saved model; the result is its id."""
        return Done(self.run.log_checkpoint(checkpoint_data, **fields))

    def log_validation(self, validation_data: Optional[Mapping[str, Any]] = None, /, **fields: Any) -> "Done[bool]":
        return Done(self.run.log_validation(validation_data, **fields))

    def log_baseline(self, baseline_data: Optional[Mapping[str, Any]] = None, /, **fields: Any) -> "Done[bool]":
        return Done(self.run.log_baseline(baseline_data, **fields))

    def flush(self) -> "Done[bool]":
        return Done(self.run.flush())

    def close(self, status: str = "completed", reason: str = "") -> "Done[Optional[Report]]":
        """Ends the run as completed, failed, interrupted or paused."""
        if self._run is None:
            return Done(None)
        ends: Dict[str, Callable[[], Report]] = {
            "completed": self._run.finish, "failed": lambda: self.run.fail(reason or None),
            "interrupted": lambda: self.run.interrupt(reason), "paused": lambda: self.run.pause(reason),
        }  # fmt: skip
        if status not in ends:
            raise ValueError(f"status is {status!r}: must be completed, failed, interrupted or paused")
        return Done(ends[status]())

    finish = finalize = close

    def __enter__(self: "ProductionLogger") -> "ProductionLogger":
        self.run
        return self

    def __exit__(self, kind: Optional[Type[BaseException]], exc: Optional[BaseException], trace: Any) -> None:
        if self._run is not None:
            self._run.__exit__(kind, exc, trace)

    async def __aenter__(self: "ProductionLogger") -> "ProductionLogger":
        return self.__enter__()

    async def __aexit__(self, kind: Optional[Type[BaseException]], exc: Optional[BaseException], trace: Any) -> None:
        self.__exit__(kind, exc, trace)


class ProductionLoggerWithDB(ProductionLogger):
    """Logs like ProductionLogger, and the greenwave program beside the training sends
    to the database that GREENWAVE_DB, DATABASE_URL, the SUPABASE_… variables or
    database_config.json name, else to greenwave.db. Without the program, or with
    enable_db=False, the records stay in the journal until they are synced."""

    def __init__(self, experiment_name: str, enable_db: bool = True, log_interval: int = 1, log_dir: str = LOG_DIR, **options: Any) -> None:
        super().__init__(experiment_name, log_interval, log_dir, **options)
        self.enable_db = enable_db

    def _destination(self) -> Dict[str, Any]:
        if not self.enable_db:
            return {}
        if self._options.get("destination") or program.database_named():
            return {"destination_from_env": True}
        return {"destination": DEFAULT_DATABASE}


class DatabaseManager:
    """Syncs and exports by the greenwave program. Without it each method raises
    ProgramMissing, which says how to get it.

    database is a URL such as postgres://…; by default it is what the environment or
    database_config.json names, else greenwave.db."""

    def __init__(self, database: Optional[str] = None, *, program: Optional[str] = None) -> None:
        self.database, self.program = database, program

    def sync_local_logs_to_db(self, log_dir: str = LOG_DIR) -> Dict[str, Any]:
        """Sends everything below a folder: journals, and the files of older loggers
        (<experiment>_episodes.jsonl and so on). A second call changes nothing.

        The result counts what is below the folder and settled in the database: records,
        stored, superseded (logged again later), refused (see greenwave deadletter),
        new (by this call), and how many of the lines are episodes, steps, checkpoints,
        validations and baselines."""
        if not os.path.isdir(log_dir):
            raise FileNotFoundError(f"{log_dir} is not a folder: nothing was logged there yet, or it is another one")
        sums: List[Dict[str, Any]] = []
        runs = find_runs(log_dir)
        if _has_files(log_dir):
            sums.append(program.run(["import", log_dir], program=self.program, database=self.database))
        if runs:
            sums.append(program.run(["sync", log_dir], program=self.program, database=self.database))
        if not sums:
            program.find(self.program)
        stats: Dict[str, Any] = {"records": 0, "stored": 0, "superseded": 0, "refused": 0, "new": 0}
        for s in sums:
            for ours, theirs in (("records", "logged"), ("stored", "stored"), ("superseded", "superseded"), ("refused", "dead"), ("new", "new")):
                stats[ours] += s.get(theirs, 0)
        stats.update(_count_lines(log_dir, runs))
        return stats

    def export_experiment_data(self, experiment_name: str, output_dir: str, format: str = "csv", force: bool = False) -> Dict[str, Any]:
        """Writes the experiment's tables as csv, json or parquet, with a manifest of
        row counts and SHA-256, which is the result. Files of an earlier export are
        replaced with force only."""
        args = ["export", experiment_name, "--out", output_dir, "--format", format]
        if force:
            args.append("--force")
        return program.run(args, program=self.program, database=self.database)

    def experiments_in(self, log_dir: str = LOG_DIR) -> List[str]:
        """The names of the experiments that have journals below a folder."""
        return sorted({read_header(path)["experiment"] for path in find_runs(log_dir)})


_KINDS = {"episode": "episodes", "step": "steps", "checkpoint": "checkpoints", "validation": "validations", "baseline": "baselines"}


def _has_files(log_dir: str) -> bool:
    with os.scandir(log_dir) as entries:
        return any(e.is_file() and e.name.endswith((".jsonl", ".json")) for e in entries)


def _count_lines(log_dir: str, runs: List[str]) -> Dict[str, int]:
    """How many lines of each kind lie below a folder."""
    from .journal.reader import Reader, Record

    counts = dict.fromkeys(_KINDS.values(), 0)
    for path in runs:
        for x in Reader(path):
            if isinstance(x, Record) and x.kind in _KINDS:
                counts[_KINDS[x.kind]] += 1
    with os.scandir(log_dir) as entries:
        for e in entries:
            for suffix in ("episodes", "steps"):
                if e.is_file() and e.name.endswith(f"_{suffix}.jsonl"):
                    with open(e.path, "rb") as f:
                        counts[suffix] += sum(1 for line in f if line.strip())
    return counts
