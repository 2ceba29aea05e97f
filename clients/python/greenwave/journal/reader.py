"""Reads a run's journal: what is there now, from beginning to end, damage included.
It takes no lock and writes nothing."""

from __future__ import annotations

import json
import os
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Tuple, Union

from .errors import Empty, JournalError, NewerFormat
from .folder import ZSTD, Listing, SegmentFile, list_run
from .line import CONTROL_PREFIX, HEADER, INDEX, MAX_LINE, SEAL, Line, parse_line, parse_rfc3339
from .lock import held
from .writer import FORMAT
from .zstd import ZstdError, decompress

_INDEX_MAGIC = (0x184D2A5D).to_bytes(4, "little")


class Record(NamedTuple):
    """A record, and where it stands: file:offset in uncompressed bytes."""

    seq: int
    micro: int
    kind: str
    data: bytes
    where: str


class Damage(NamedTuple):
    """A place that cannot be read. lost is 0 where the bytes held no record."""

    seq: int  # the first number that is affected
    lost: int
    where: str
    reason: str


class Chunk(NamedTuple):
    """A whole line without its line feed, or a place that is none."""

    raw: Optional[bytes]
    offset: int
    length: int
    fault: str


class Source:
    """The uncompressed lines of a segment. After the last one tail is the number of
    bytes of the unfinished line."""

    def __init__(self, path: str, compressed: bool) -> None:
        self.path, self.compressed, self.tail = path, compressed, 0
        self.index: Optional[Dict[str, Any]] = None
        self.index_time = 0
        if compressed:
            with open(path, "rb") as f:
                self.data = f.read()
            self._read_index()

    def _read_index(self) -> None:
        at = self.data.rfind(b'{"seq":0,"time":"')
        if at < 8 or self.data[at - 8 : at - 4] != _INDEX_MAGIC or self.data[-1:] != b"\n":
            return
        if int.from_bytes(self.data[at - 4 : at], "little") != len(self.data) - at:
            return
        line, _ = parse_line(self.data[at:-1])
        if line is None or line.kind != INDEX:
            return
        try:
            index = json.loads(line.data)
            frames = index["frames"]
            good = frames[0][0] == 0 and frames[0][1] == 0 and frames[-1][0] < at - 8
            good = good and all(a[0] < b[0] and a[1] < b[1] <= index["bytes"] for a, b in zip(frames, frames[1:]))
        except (ValueError, KeyError, IndexError, TypeError):
            return
        if good:
            self.index, self.index_time, self.end = index, line.micro, at - 8

    def frames(self) -> Iterator[Tuple[Optional[bytes], int, str]]:
        """Uncompressed pieces, each with the offset behind it (-1: nothing comes
        after); None with a reason where bytes are lost. A frame that cannot be read
        costs no other."""
        if self.index is None:
            try:
                text = decompress(self.data)
                yield text, len(text), ""
            except ZstdError as exc:
                yield None, -1, f"compressed data: {exc}"
            return
        frames = self.index["frames"]
        for i, (start, begin, _) in enumerate(frames):
            stop, to = (frames[i + 1][0], frames[i + 1][1]) if i + 1 < len(frames) else (self.end, self.index["bytes"])
            try:
                text = decompress(self.data[start:stop])
                if len(text) != to - begin:
                    raise ZstdError("%d bytes where the index says %d" % (len(text), to - begin))
                yield text, to, ""
            except ZstdError as exc:
                yield None, to, f"compressed bytes {start} to {stop}: {exc}"

    def pieces(self) -> Iterator[Tuple[Optional[bytes], int, str]]:
        if self.compressed:
            yield from self.frames()
            return
        at = 0
        with open(self.path, "rb") as f:
            for part in iter(lambda: f.read(1 << 20), b""):
                at += len(part)
                yield part, at, ""

    def chunks(self) -> Iterator[Chunk]:
        rest, offset, long = b"", 0, 0  # offset is where rest begins, behind long bytes of one line
        for piece, to, reason in self.pieces():
            if piece is None:
                yield Chunk(None, offset - long, to - offset + long if to >= 0 else 0, reason)
                rest, offset, long = b"", max(to, offset), 0
                continue
            lines = (rest + piece).split(b"\n")
            rest = lines.pop()
            for raw in lines:
                n = len(raw) + 1
                if n + long > MAX_LINE:
                    yield Chunk(None, offset - long, n + long, f"line is longer than {MAX_LINE} bytes")
                else:
                    yield Chunk(raw, offset, n, "")
                offset, long = offset + n, 0
            if len(rest) > MAX_LINE:  # only to find its end
                offset, long, rest = offset + len(rest), long + len(rest), b""
        self.tail = len(rest) + long
        self.offset = offset - long

    @property
    def name(self) -> str:
        return os.path.basename(self.path)


def open_segment(path: str, s: SegmentFile) -> Source:
    """The segment in the form that is there now: it may be compressed, and the plain
    file removed, at any moment."""
    for _ in range(2):
        for ext, compressed in ((".jsonl", False), (ZSTD, True)):
            name = os.path.join(path, s.base + ext)
            if os.path.exists(name):
                return Source(name, compressed)
    raise FileNotFoundError(os.path.join(path, s.base + ".jsonl"))


def read_header(path: str, listing: Optional[Listing] = None) -> Dict[str, Any]:
    """The header of the first segment that has a whole one."""
    segments = (listing or list_run(path)).segments
    if not segments:
        raise Empty(f"{path}: journal has no segment")
    first = ""
    for s in segments:
        reason = "it has no whole line"
        for c in open_segment(path, s).chunks():
            line, reason = parse_line(c.raw) if c.raw is not None else (None, c.fault)
            if line is not None:
                h, reason = _parse_header(line, path)
                if h is not None:
                    return h
            break
        first = first or f"{s.base}: {reason}"
    raise JournalError(f"{path}: no segment has a readable header: {first}")


def _parse_header(line: Line, path: str) -> Tuple[Optional[Dict[str, Any]], str]:
    if line.kind != HEADER:
        return None, f"first line is of kind {line.kind}, not header"
    try:
        h = json.loads(line.data)
        number = h.get("format")
        if isinstance(number, int) and number > FORMAT:
            raise NewerFormat(f"{path}: it has format {number} and this program reads up to {FORMAT}: use a newer greenwave")
        if number >= 1 and h["run_id"] and h["segment"] >= 1 and h["first_seq"] >= 1:
            return h, ""
    except (ValueError, KeyError, TypeError):
        pass
    return None, "header lacks its format, run id, segment or first sequence number"


class _Bad:
    """What cannot be read until the next good line says how many records it held."""

    def __init__(self, where: str, reason: str) -> None:
        self.where, self.reason, self.lines = where, reason, 0


class Reader:
    """Goes through a run once."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.header = read_header(path)
        self._next = 1
        self._bad: Optional[_Bad] = None

    def __iter__(self) -> Iterator[Union[Record, Damage]]:
        live = held(self.path)
        segments = list_run(self.path).segments
        last = 0
        for i, s in enumerate(segments):
            if s.first > self._next:
                if s.number > last + 1 and self._bad is None:
                    self._bad = _Bad(":0", f"segments {last + 1} to {s.number - 1} are missing")
                yield from self._settle(s.first, ":0")
            try:
                source = open_segment(self.path, s)
            except FileNotFoundError:
                continue
            yield from self._segment(s, source, i == len(segments) - 1)
            last = s.number
        if self._bad is not None and not live:
            yield from self._settle(self._next + self._bad.lines, ":0")

    def _segment(self, s: SegmentFile, source: Source, final: bool) -> Iterator[Union[Record, Damage]]:
        sealed = skip = False
        for number, c in enumerate(source.chunks()):
            where = f"{source.name}:{c.offset}"
            if skip:
                continue
            line, reason = parse_line(c.raw) if c.raw is not None else (None, c.fault)
            if line is None:
                self._add(c, where, reason)
            elif sealed:
                self._add(c, where, "line behind the seal")
            elif line.kind == HEADER:
                skip = self._take_header(s, c, where, line, number)
            elif line.kind == SEAL:
                try:
                    upto = json.loads(line.data)["last_seq"] + 1
                except (ValueError, KeyError, TypeError):
                    self._add(c, where, "the seal cannot be read")
                    continue
                sealed = True
                yield from self._settle(upto, where)
            elif line.seq == 0:
                self._add(c, where, f"line of kind {line.kind} in the middle of a segment")
            elif line.seq < self._next:
                self._add(c, where, f"sequence number {line.seq} comes again, expected {self._next}")
                assert self._bad is not None
                self._bad.lines -= 1  # it is no record of its own
            else:
                if line.seq > self._next and self._bad is None:
                    self._bad = _Bad(where, f"records {self._next} to {line.seq - 1} are not there")
                yield from self._settle(line.seq, where)
                self._next = line.seq + 1
                yield Record(line.seq, line.micro, line.kind, line.data, where)
        end = Chunk(None, source.offset, source.tail, "")
        where = f"{source.name}:{source.offset}"
        if sealed:
            if source.tail > 0:
                self._add(end, where, "bytes behind the seal")
                assert self._bad is not None
                self._bad.lines -= 1
        elif skip or final and not source.compressed:
            pass
        elif source.index is not None:  # the seal cannot be read; the index says it too
            yield from self._settle(source.index["last_seq"] + 1, where)
        elif source.tail > 0:
            self._add(end, where, "unfinished line in a segment that is not the last")
        elif self._bad is None and source.compressed:
            self._add(end, where, "compressed segment ends without its seal")
            assert self._bad is not None
            self._bad.lines -= 1

    def _take_header(self, s: SegmentFile, c: Chunk, where: str, line: Line, number: int) -> bool:
        """Whether the rest of the segment is passed over."""
        h, reason = _parse_header(line, self.path)
        if h is None:
            self._add(c, where, reason)
            return False
        if number > 0:
            self._add(c, where, "header in the middle of a segment")
            return False
        if h["run_id"] != self.header["run_id"]:
            reason = f"segment belongs to run {h['run_id']}, not {self.header['run_id']}"
        elif (h["segment"], h["first_seq"]) != (s.number, s.first):
            reason = f"header is of segment {h['segment']}, not {s.base}"
        else:
            return False
        self._add(c, where, reason)
        assert self._bad is not None
        self._bad.lines += 1  # it stands for at least one record
        return True

    def _add(self, c: Chunk, where: str, reason: str) -> None:
        if self._bad is None:
            self._bad = _Bad(where, reason)
        if c.raw is None or not c.raw.startswith(CONTROL_PREFIX):
            self._bad.lines += 1

    def _settle(self, upto: int, where: str) -> Iterator[Damage]:
        """Turns the bad place before a number into a damage."""
        bad, self._bad = self._bad, None
        if upto <= self._next and bad is None:
            return
        if bad is None:
            bad = _Bad(where, f"records {self._next} to {upto - 1} are not there")
        seq, lost = self._next, max(0, upto - self._next)
        self._next = max(self._next, upto)
        yield Damage(seq, lost, bad.where, bad.reason)


class Info(NamedTuple):
    """What is known of a run without reading all of its records."""

    path: str
    header: Dict[str, Any]
    logged: int
    live: bool
    sealed: bool  # it has its final seal
    recovered: bool
    torn: int  # bytes of an unfinished last line
    last_time: int  # of the last whole line, in microseconds since 1970


def stat(path: str) -> Info:
    """Looks at a run's folder; of its segments it reads the last one."""
    live = held(path)  # first: who has closed the journal since then has sealed it
    listing = list_run(path)
    header = read_header(path, listing)
    last = listing.segments[-1]
    source = open_segment(path, last)
    at = parse_rfc3339(header["started_at"])
    if source.index is not None:
        x = source.index
        return Info(path, header, x["last_seq"], live, x.get("final", False), x.get("recovered", False), 0, source.index_time)
    logged, bad = last.first - 1, 0
    seal: Dict[str, Any] = {}
    for c in source.chunks():
        line, _ = parse_line(c.raw) if c.raw is not None else (None, "")
        if line is None:
            bad += c.raw is None or not c.raw.startswith(CONTROL_PREFIX)
            continue
        at, bad, seal = line.micro, 0, {}
        if line.kind == SEAL:
            seal = json.loads(line.data)
            logged = seal["last_seq"]
        elif line.seq:
            logged = line.seq
    torn = 0 if source.compressed else source.tail
    return Info(path, header, logged + (0 if seal else bad), live, seal.get("final", False), seal.get("recovered", False), torn, at)


def last_record(path: str, kind: str) -> Optional[bytes]:
    """The data of the run's last good record of a kind. It reads from the end,
    because what is looked for is usually near the end."""
    mark = b'","kind":"%s","data":' % kind.encode()
    for s in reversed(list_run(path).segments):
        source = open_segment(path, s)
        if source.compressed:
            pieces: List[bytes] = []
            if source.index is None:
                pieces = [p for p, _, _ in source.frames() if p is not None]
            else:
                frames = [f[0] for f in source.index["frames"]] + [source.end]
                for start, stop in reversed(list(zip(frames, frames[1:]))):
                    try:
                        found = _last_in(decompress(source.data[start:stop]), mark, kind)
                    except ZstdError:
                        continue
                    if found is not None:
                        return found
        else:
            with open(source.path, "rb") as f:
                pieces = [f.read()]
        for p in reversed(pieces):
            found = _last_in(p, mark, kind)
            if found is not None:
                return found
    return None


def _last_in(text: bytes, mark: bytes, kind: str) -> Optional[bytes]:
    end = len(text)
    while True:
        at = text.rfind(mark, 0, end)
        if at < 0:
            return None
        begin, stop = text.rfind(b"\n", 0, at) + 1, text.find(b"\n", at)
        if stop >= 0:
            line, _ = parse_line(text[begin:stop])
            if line is not None and line.kind == kind:
                return line.data
        end = at
