"""Errors that a trainer may want to tell apart."""

from __future__ import annotations


class GreenwaveError(Exception):
    """The base of all errors of this package."""


class FieldError(GreenwaveError, ValueError):
    """A field of a record breaks a rule. Nothing was written, and later records are
    not affected.

    >>> print(FieldError("step", "queue_lengths.ECOLAND.north", '"3"', "must be a number"))
    step: queue_lengths.ECOLAND.north is "3": must be a number
    """

    def __init__(self, kind: str, field: str, value: str, rule: str) -> None:
        super().__init__(kind, field, value, rule)
        self.kind, self.field, self.value, self.rule = kind, field, value, rule

    def __str__(self) -> str:
        return f"{self.kind}: {self.field} is {self.value}: {self.rule}"


class NotRecorded(GreenwaveError, OSError):
    """The record is not in the journal, because the disk refused it. The training can
    go on. Recording resumes by itself, in a new run folder, when the disk takes writes
    again; until then calls raise this, and the report counts them."""


class Finished(GreenwaveError, RuntimeError):
    """The run has ended: nothing is recorded any more."""


class Running(GreenwaveError, RuntimeError):
    """Another process still records the experiment in the same folder."""


class ProgramMissing(GreenwaveError, FileNotFoundError):
    """A step needs the greenwave program, and it was not found."""


class ProgramFailed(GreenwaveError, RuntimeError):
    """The greenwave program could not do what it was asked. returncode is its exit
    code, output what it printed."""

    def __init__(self, message: str, returncode: int, output: str) -> None:
        super().__init__(message)
        self.returncode, self.output = returncode, output
