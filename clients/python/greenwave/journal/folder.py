"""The names of a run's folder and files."""

from __future__ import annotations

import hashlib
import os
import re
from typing import Dict, List, NamedTuple, Optional, Tuple

PLAIN, ZSTD, TMP = ".jsonl", ".jsonl.zst", ".tmp"
LOCK, QUARANTINE = "lock", "quarantine.jsonl"
_MAX_FOLDER = 200
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\Z")
_SEGMENT = re.compile(r"(\d{6,})-(\d{12,})(\.jsonl|\.jsonl\.zst)(\.tmp)?\Z")
_PLAIN_BYTES = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.~")
_DEVICE = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?\Z", re.IGNORECASE | re.DOTALL | re.ASCII)


def folder_name(experiment: str) -> str:
    """The folder of an experiment's runs: any name becomes one that every file
    system takes.

    >>> folder_name("a/b")
    'a%2Fb'
    >>> folder_name("NUL")
    '%4EUL'
    """
    raw = experiment.encode()
    last = len(raw) - 1
    device = _DEVICE.match(experiment) is not None
    parts = []
    for i, c in enumerate(raw):
        edge = i == 0 or i == last
        plain = c in _PLAIN_BYTES and not (c == 0x2E and edge) and not (i == 0 and device)
        parts.append(chr(c) if plain else "%%%02X" % c)
    name = "".join(parts)
    if name == "":
        return "="
    if len(name) <= _MAX_FOLDER:
        return name
    cut = _MAX_FOLDER - 33
    escape = name.rfind("%", 0, cut)
    if escape > cut - 3:
        cut = escape  # not inside %XX
    return name[:cut] + "=" + hashlib.sha256(raw).hexdigest()[:32]


def is_run_id(text: str) -> bool:
    return _UUID.match(text) is not None


def segment_name(number: int, first: int) -> str:
    return "%06d-%012d" % (number, first)


class SegmentFile(NamedTuple):
    """A segment as its file names tell it."""

    number: int
    first: int  # sequence number of its first record
    plain: bool
    zstd: bool

    @property
    def base(self) -> str:
        return segment_name(self.number, self.first)

    def name(self) -> str:
        """The plain form while both are there: it is the original."""
        return self.base + (PLAIN if self.plain else ZSTD)


def parse_segment_name(name: str) -> Optional[Tuple[int, int, str]]:
    m = _SEGMENT.match(name)
    if m is None:
        return None
    number, first = int(m[1]), int(m[2])
    if number < 1 or first < 1 or not name.startswith(segment_name(number, first) + "."):
        return None
    return number, first, m[3] + (m[4] or "")


class Listing(NamedTuple):
    """What lies in a run's folder."""

    segments: List[SegmentFile]  # by number
    tmp: List[str]
    locked: bool  # a lock file is there: it is or was to become a run


def list_run(path: str) -> Listing:
    found: Dict[Tuple[int, int], SegmentFile] = {}
    tmp: List[str] = []
    locked = False
    with os.scandir(path) as entries:
        for e in entries:
            locked = locked or e.name == LOCK
            parsed = parse_segment_name(e.name)
            if parsed is None or e.is_dir():
                continue
            number, first, ext = parsed
            if ext.endswith(TMP):
                tmp.append(e.name)
                continue
            s = found.get((number, first)) or SegmentFile(number, first, False, False)
            found[(number, first)] = SegmentFile(number, first, s.plain or ext == PLAIN, s.zstd or ext == ZSTD)
    return Listing([found[k] for k in sorted(found)], sorted(tmp), locked)
