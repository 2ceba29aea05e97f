"""What can go wrong with a journal."""

from __future__ import annotations


class JournalError(Exception):
    """The base of the errors of this package."""


class Invalid(JournalError, ValueError):
    """A record is not one JSON object on one line. The journal is unharmed."""


class TooLarge(JournalError, ValueError):
    """A record has more than 16 MiB. The journal is unharmed."""


class Locked(JournalError):
    """Another process writes to the journal."""


class Closed(JournalError):
    """The journal is closed."""


class Failed(JournalError):
    """The disk refused a write. Nothing more is acknowledged in this journal."""


class Empty(JournalError):
    """A run's folder holds no segment: nothing was ever acknowledged."""


class NewerFormat(JournalError):
    """The journal was written by a newer program."""


class Forked(JournalError):
    """The process is a fork of the one that writes. A run has one process."""


class Reentered(JournalError):
    """A signal handler logged while its thread was in the middle of a record."""
