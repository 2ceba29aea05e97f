"""Repairs a run that no process holds: the numbered steps of docs/journal-format.md.
Segments are left uncompressed, as the format allows."""

from __future__ import annotations

import base64
import hashlib
import json
import os
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Set, Tuple

from .errors import Empty
from .folder import PLAIN, QUARANTINE, ZSTD, SegmentFile, list_run, segment_name
from .line import CONTROL_PREFIX, HEADER, SEAL, Clock, make_line, parse_line, short_time, to_json
from .lock import lock_run, sync_file, sync_folder
from .reader import Source, read_header
from .writer import FIELDS, clock
from .zstd import ZstdError, decompress

_MAX_ENTRY = 64 << 10  # bytes of neighbouring damaged lines that make one entry


class Report(NamedTuple):
    """What recover did."""

    trimmed: int  # bytes of an unfinished last line
    quarantined: List[str]  # file:offset of the places that were copied now
    sealed: bool  # it wrote a seal
    removed: List[str]


def recover(path: str, *, now: Callable[[], int] = clock) -> Report:
    """Trims an unfinished last line, copies damaged lines of the unsealed segment to
    quarantine.jsonl and seals what a crash left unsealed. A second call finds nothing
    to do; a crash in the middle is recovered by the next call."""
    listing = list_run(path)
    if not listing.segments and not listing.locked:  # not the lock first: it would make a file in any folder
        raise Empty(f"{path}: journal has no segment")
    fd = lock_run(path)  # step 1
    try:
        return _Recovery(path, now).run()
    finally:
        os.close(fd)


class _Ending:
    """What a scan of the last segment finds."""

    def __init__(self, first: int) -> None:
        self.header = False
        self.seal: Optional[Dict[str, Any]] = None
        self.last = first - 1  # damaged lines counted
        self.micro: Optional[int] = None
        self.size = 0
        self.torn = 0
        self.sum = hashlib.sha256()
        self.damaged: List[Dict[str, Any]] = []


class _Recovery:
    def __init__(self, path: str, now: Callable[[], int]) -> None:
        self.path, self.now = path, now
        self.removed: List[str] = []
        self.quarantined: List[str] = []
        self.trimmed, self.sealed = 0, False

    def run(self) -> Report:
        listing = list_run(self.path)
        for name in listing.tmp:  # step 2
            self._remove(name)
        if not listing.segments:
            raise Empty(f"{self.path}: journal has no segment: its writer ended before the first record; remove the folder")
        header = read_header(self.path, listing)
        segments = [self._pair(s) if s.plain and s.zstd else s for s in listing.segments]  # step 3
        self._seal_last({k: header[k] for k in FIELDS if k in header}, segments)  # steps 4 to 7
        sync_folder(self.path)
        return Report(self.trimmed, self.quarantined, self.sealed, self.removed)

    def _remove(self, name: str) -> None:
        os.remove(os.path.join(self.path, name))
        self.removed.append(name)

    def _pair(self, s: SegmentFile) -> SegmentFile:
        """Of the two forms the compressed one stays when it holds the bytes of the
        plain one, else the plain one does."""
        with open(os.path.join(self.path, s.base + PLAIN), "rb") as f:
            plain = f.read()
        try:
            with open(os.path.join(self.path, s.base + ZSTD), "rb") as f:
                same = decompress(f.read()) == plain
        except ZstdError:
            same = False
        self._remove(s.base + (PLAIN if same else ZSTD))
        return s._replace(plain=not same, zstd=same)

    def _seal_last(self, header: Dict[str, Any], segments: List[SegmentFile]) -> None:
        last = segments[-1]
        if not last.plain:
            seal, digest = self._compressed_end(last)
            if seal is not None and not seal.get("final"):
                self._final_segment(header, last.number + 1, seal["last_seq"] + 1, digest, None)
            return
        name = os.path.join(self.path, last.base + PLAIN)
        e = self._examine(name, last)  # step 4
        if e.damaged:
            self._quarantine(e.damaged)  # step 5
        if e.torn:  # step 6
            fd = os.open(name, os.O_WRONLY)
            try:
                os.ftruncate(fd, e.size)
                sync_file(fd)
            finally:
                os.close(fd)
            self.trimmed = e.torn
        if e.seal is not None and e.seal.get("final"):  # step 7
            return
        if e.seal is not None:
            self._final_segment(header, last.number + 1, e.seal["last_seq"] + 1, e.sum.hexdigest(), e.micro)
        elif e.size == 0:
            self._final_segment(header, last.number, last.first, self._previous(segments), None)
        else:
            self._write(name, 0, last.first, e.last, e.micro, e.sum, b"")

    def _examine(self, name: str, s: SegmentFile) -> _Ending:
        e = _Ending(s.first)
        source = Source(name, False)
        for c in source.chunks():
            e.seal = None
            e.size = c.offset + c.length
            line, reason = parse_line(c.raw) if c.raw is not None else (None, c.fault)
            if line is None:
                lost = 0 if c.raw is not None and c.raw.startswith(CONTROL_PREFIX) else 1
                if not (e.damaged and _join(e.damaged[-1], c.raw, c.offset, c.length)):
                    e.damaged.append({
                        "file": s.base + PLAIN, "segment": s.number, "offset": c.offset, "length": c.length,
                        "seq": e.last + 1, "lost": 0, "reason": reason, "raw": c.raw,
                    })  # fmt: skip
                e.damaged[-1]["lost"] += lost
                e.last += lost
                continue
            if line.kind == SEAL:
                try:
                    e.seal = json.loads(line.data)
                    e.last = max(e.last, e.seal["last_seq"])
                except (ValueError, KeyError, TypeError):
                    e.seal = None
            elif line.seq > 0:
                e.last = line.seq
            elif line.kind == HEADER:
                e.header = e.header or c.offset == 0
            e.micro = line.micro if e.micro is None else max(e.micro, line.micro)
        e.torn = source.tail
        left = e.size
        with open(name, "rb") as f:
            while left > 0:
                part = f.read(min(left, 1 << 20))
                if not part:
                    break
                e.sum.update(part)
                left -= len(part)
        return e

    def _compressed_end(self, s: SegmentFile) -> Tuple[Optional[Dict[str, Any]], str]:
        """The seal of a compressed last segment and the SHA-256 of its bytes; None
        when it cannot be told, which a check reports."""
        source = Source(os.path.join(self.path, s.base + ZSTD), True)
        if source.index is not None:
            return source.index, source.index["sha256"]
        try:
            text = decompress(source.data)
        except ZstdError:
            return None, ""
        line, _ = parse_line(text[:-1].rpartition(b"\n")[2])
        if line is None or line.kind != SEAL:
            return None, ""
        return json.loads(line.data), hashlib.sha256(text).hexdigest()

    def _previous(self, segments: List[SegmentFile]) -> str:
        """The SHA-256 of the last segment but one."""
        if len(segments) < 2:
            return ""
        s = segments[-2]
        try:
            with open(os.path.join(self.path, s.name()), "rb") as f:
                data = f.read()
            return hashlib.sha256(data if s.plain else decompress(data)).hexdigest()
        except ZstdError:
            return ""  # the chain is broken there; a check says so

    def _final_segment(self, header: Dict[str, Any], number: int, first: int, prev: str, micro: Optional[int]) -> None:
        """Writes a last segment that holds no record. Its file may be there, empty,
        from a crash."""
        name = os.path.join(self.path, segment_name(number, first) + PLAIN)
        data = to_json({**header, "segment": number, "first_seq": first, "prev_sha256": prev})
        micro = self._later(micro)
        line = make_line(0, Clock().text(micro), HEADER, data)
        self._write(name, os.O_CREAT, first, first - 1, micro, hashlib.sha256(line), line)

    def _later(self, micro: Optional[int]) -> int:
        return self.now() if micro is None else max(micro + 1, self.now())

    def _write(self, name: str, flags: int, first: int, last: int, micro: Optional[int], digest: Any, before: bytes) -> None:
        """Appends the final seal, and before it a header where there is none."""
        seal = {"records": last + 1 - first, "last_seq": last, "sha256": digest.hexdigest(), "final": True, "recovered": True}
        line = make_line(0, Clock().text(self._later(micro)), SEAL, to_json(seal))
        fd = os.open(name, os.O_WRONLY | os.O_APPEND | flags, 0o644)
        try:
            if os.write(fd, before + line) != len(before + line):
                raise OSError(f"{name}: the seal was not written whole: make room on the disk and try again")
            sync_file(fd)
        finally:
            os.close(fd)
        self.sealed = True

    def _quarantine(self, entries: List[Dict[str, Any]]) -> None:
        """Appends the entries that are not in quarantine.jsonl yet."""
        name = os.path.join(self.path, QUARANTINE)
        known: Set[Tuple[str, int]] = set()
        size = 0
        if os.path.exists(name):
            with open(name, "rb") as f:
                for line in f:
                    if not line.endswith(b"\n"):
                        break
                    size += len(line)
                    try:
                        x = json.loads(line)
                        known.add((x["file"], x["offset"]))
                    except (ValueError, KeyError, TypeError):
                        continue
        fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            os.ftruncate(fd, size)  # an unfinished entry of a crash is written again
            for e in entries:
                if (e["file"], e["offset"]) in known:
                    continue
                raw = e.pop("raw")
                entry = {"at": short_time(self.now()), **e}
                if raw is not None:
                    try:
                        entry["text"] = raw.decode()
                    except UnicodeDecodeError:
                        entry["base64"] = base64.b64encode(raw).decode()
                os.write(fd, to_json(entry) + b"\n")
                self.quarantined.append(f"{e['file']}:{e['offset']}")
            sync_file(fd)
        finally:
            os.close(fd)
        sync_folder(self.path)


def _join(e: Dict[str, Any], raw: Optional[bytes], offset: int, length: int) -> bool:
    """Adds a damaged line that follows directly, so that a segment of garbage does not
    become millions of entries."""
    if e["raw"] is None or raw is None or e["offset"] + e["length"] != offset or len(e["raw"]) + len(raw) > _MAX_ENTRY:
        return False
    e["raw"] += b"\n" + raw
    e["length"] += length
    return True
