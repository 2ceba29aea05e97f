"""A line of a journal: its envelope, its checksum, its time."""

from __future__ import annotations

import json
import re
from datetime import datetime, timedelta, timezone
from typing import Any, NamedTuple, Optional, Tuple

from .crc import crc32c
from .errors import Invalid

MAX_LINE = 16 << 20
HEADER, SEAL, INDEX = "header", "seal", "index"
CONTROL = (HEADER, SEAL, INDEX)
CONTROL_PREFIX = b'{"seq":0,'
TAIL = 18  # ,"crc":"xxxxxxxx"}

# The first and the last microsecond whose year has four digits.
MIN_MICRO = -62135596800 * 1_000_000
MAX_MICRO = 253402300799999999

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_KIND = re.compile(r"[a-z][a-z0-9_]{0,31}\Z")
_ENVELOPE = len(b'{"seq":,"time":"","kind":"","data":') + 27 + TAIL + 1


class Line(NamedTuple):
    """One record, or one line of the journal itself."""

    seq: int
    micro: int  # time in microseconds since 1970
    kind: str
    data: bytes


class Clock:
    """Writes times. Most lines of a run fall into the second of the one before."""

    def __init__(self) -> None:
        self._second: Optional[int] = None
        self._text = b""

    def text(self, micro: int) -> bytes:
        second, rest = divmod(micro, 1_000_000)
        if second != self._second:
            at = _EPOCH + timedelta(seconds=second)
            self._text = at.strftime("%m-%dT%H:%M:%S.").encode()
            self._text = b"%04d-" % at.year + self._text
            self._second = second
        return b"%s%06dZ" % (self._text, rest)


def time_text(micro: int) -> str:
    """A time as lines have it.

    >>> time_text(1795386742000001)
    '2026-11-22T22:32:22.000001Z'
    """
    return Clock().text(micro).decode()


def short_time(micro: int) -> str:
    """A time as headers have it: no more decimals than it needs.

    >>> short_time(1795386742500000)
    '2026-11-22T22:32:22.5Z'
    """
    text = time_text(micro)
    return text[:19] + text[19:26].rstrip("0").rstrip(".") + "Z"


_TIME = re.compile(rb"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)\.(\d{6})Z\Z")
_second: Tuple[bytes, int] = (b"", 0)  # the last one that was read: most lines share it


def parse_time(text: bytes) -> Optional[int]:
    """The microseconds of a line's time; None when it is not one."""
    global _second
    m = _TIME.match(text)
    if m is None:
        return None
    known, micro = _second
    if known != text[:19]:
        try:
            at = datetime(*(int(p) for p in m.groups()[:6]), tzinfo=timezone.utc)  # type: ignore[misc,arg-type]
        except ValueError:
            return None
        micro = (at - _EPOCH) // timedelta(microseconds=1)
        _second = (text[:19], micro)
    return micro + int(m[7])


def parse_rfc3339(text: str) -> int:
    """The microseconds of a header's time, digits behind the microsecond cut off.

    >>> parse_rfc3339("2026-11-22T22:32:22.5Z") == parse_rfc3339("2026-11-23T00:32:22.500000999+02:00")
    True
    """
    m = re.match(r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:[.,](\d+))?([Zz]|[+-]\d\d:\d\d)\Z", text)
    if m is None:
        raise ValueError(f"{text!r} is not a time such as 2026-11-22T22:19:00Z")
    zone = "+00:00" if m[4] in "Zz" else m[4]
    at = datetime.fromisoformat(f"{m[1]}T{m[2]}{zone}")
    return (at - _EPOCH) // timedelta(microseconds=1) + int(((m[3] or "0") + "000000")[:6])


def line_size(seq: int, kind: str, size: int) -> int:
    """The length of a line whose data has size bytes, with its line feed."""
    return _ENVELOPE + len(str(seq)) + len(kind) + size


def make_line(seq: int, time: bytes, kind: str, data: bytes) -> bytes:
    body = b'{"seq":%d,"time":"%s","kind":"%s","data":%s' % (seq, time, kind.encode(), data)
    return b'%s,"crc":"%08x"}\n' % (body, crc32c(body))


def check_record(kind: str, data: bytes) -> None:
    """Raises Invalid when kind and data cannot stand in a line."""
    if not _KIND.match(kind):
        raise Invalid(f"kind {kind!r} must be 1 to 32 lower case letters, digits and _, beginning with a letter")
    if kind in CONTROL:
        raise Invalid(f"kind {kind!r} is kept for the journal itself")
    if len(data) < 2 or data[:1] != b"{" or data[-1:] != b"}":
        raise Invalid("data must be one JSON object, from { to }")
    at = data.find(b"\n")
    if at >= 0:
        raise Invalid(f"data has a line break at offset {at}: write the JSON on one line")


_HEAD = re.compile(rb'\{"seq":(0|[1-9][0-9]{0,19}),"time":"([^"]{27})","kind":"([a-z][a-z0-9_]{0,31})","data":')


def parse_line(raw: bytes) -> Tuple[Optional[Line], str]:
    """Decodes a line without its line feed: the line, or None and what is wrong.
    Exactly the lines that make_line writes are taken."""
    body, tail = raw[:-TAIL], raw[-TAIL:]
    if len(tail) < TAIL or not (tail.startswith(b',"crc":"') and tail.endswith(b'"}')):
        return None, "not a journal line: it does not end with its checksum"
    digits = tail[8:16]
    if digits.strip(b"0123456789abcdef"):
        return None, "not a journal line: the checksum is not 8 hexadecimal digits"
    crc = crc32c(body)
    if int(digits, 16) != crc:
        return None, "checksum does not fit: the line says %s, its bytes give %08x" % (digits.decode(), crc)
    m = _HEAD.match(body)
    if m is None:
        return None, "not a journal line: it does not begin with seq, time, kind and data"
    seq, micro, kind, data = int(m[1]), parse_time(m[2]), m[3].decode(), body[m.end() :]
    if seq >= 1 << 64:
        return None, "not a journal line: sequence number is too large"
    if micro is None:
        return None, "not a journal line: time is not like 2006-01-02T15:04:05.000000Z"
    if len(data) < 2 or data[:1] != b"{" or data[-1:] != b"}":
        return None, "not a journal line: data is not an object"
    if (kind in CONTROL) != (seq == 0):
        return None, f"not a journal line: a line of kind {kind} has sequence number {seq}"
    return Line(seq, micro, kind, data), ""


def to_json(value: Any) -> bytes:
    """JSON without spaces, as headers and seals have it."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.replace("\u2028", "\\u2028").replace("\u2029", "\\u2029").encode()
