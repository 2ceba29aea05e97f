"""Records the training of traffic-signal controllers so that no crash, outage or
second sync loses or doubles a record.

    import greenwave

    with greenwave.resume("corridor-d3qn", hyperparameters=config) as run:
        for episode in range((run.last_episode or 0) + 1, 351):
            for step in range(300):
                ...
                run.log_step(episode_number=episode, step_number=step, immediate_reward=reward)
            run.log_episode(episode_number=episode, total_reward=total)

docs/python.md has the rest. Nothing but the standard library is needed.
"""

from ._version import __version__
from .errors import FieldError, Finished, GreenwaveError, NotRecorded, ProgramFailed, ProgramMissing, Running
from .report import Report
from .run import Run, resume, start

__all__ = [
    "FieldError", "Finished", "GreenwaveError", "NotRecorded", "ProgramFailed", "ProgramMissing", "Report", "Run",
    "Running", "__version__", "resume", "start",
]  # fmt: skip
