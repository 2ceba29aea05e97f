"""Decompresses zstd (RFC 8878) in plain Python, because the standard library cannot
before 3.14: journals that were written or recovered by the Go client are compressed.
It reads about a megabyte a second; who resumes a run needs the last one only."""

from __future__ import annotations

from typing import Any, Dict, List, NamedTuple, Optional, Tuple

try:
    from compression import zstd as _native  # type: ignore
except ImportError:
    _native = None

MAGIC = 0xFD2FB528
_SKIPPABLE = 0x184D2A50
_MAX_BLOCK = 128 << 10


class ZstdError(ValueError):
    """The bytes are not whole zstd frames."""


def decompress(data: bytes) -> bytes:
    """The content of all frames, one after the other."""
    if _native is not None:
        try:
            return bytes(_native.decompress(data))
        except (_native.ZstdError, EOFError) as exc:
            raise ZstdError(str(exc)) from exc
    return plain_decompress(data)


def plain_decompress(data: bytes) -> bytes:
    """decompress without the standard library's help."""
    out, at = [], 0
    while at < len(data):
        content, at = _frame(data, at)
        out.append(content)
    return b"".join(out)


def _le(data: bytes, at: int, n: int) -> int:
    if at + n > len(data):
        raise ZstdError("the data is cut off")
    return int.from_bytes(data[at : at + n], "little")


def _frame(data: bytes, at: int) -> Tuple[bytes, int]:
    magic = _le(data, at, 4)
    if magic & 0xFFFFFFF0 == _SKIPPABLE:
        end = at + 8 + _le(data, at + 4, 4)
        if end > len(data):
            raise ZstdError("a skippable frame is cut off")
        return b"", end
    if magic != MAGIC:
        raise ZstdError("not a zstd frame at byte %d" % at)
    flags = _le(data, at + 4, 1)
    at += 5
    single = flags >> 5 & 1
    if flags & 8:
        raise ZstdError("a reserved bit is set")
    if not single:
        at += 1  # the window: everything is kept
    at_dict = (0, 1, 2, 4)[flags & 3]
    if at_dict and _le(data, at, at_dict):
        raise ZstdError("a dictionary is needed")
    at += at_dict
    width = (single, 2, 4, 8)[flags >> 6]
    size = _le(data, at, width) + (256 if width == 2 else 0) if width else None
    at += width
    out = bytearray()
    state = _State()
    last = 0
    while not last:
        head = _le(data, at, 3)
        at += 3
        last, kind, n = head & 1, head >> 1 & 3, head >> 3
        if n > _MAX_BLOCK or kind == 3:
            raise ZstdError("a block is not one")
        used = 1 if kind == 1 else n
        block = data[at : at + used]
        if len(block) < used:
            raise ZstdError("a block is cut off")
        at += used
        if kind == 0:
            out += block
        elif kind == 1:
            out += block * n
        else:
            try:
                _block(block, state, out)
            except (IndexError, KeyError) as exc:
                raise ZstdError("a block is damaged") from exc
    if size is not None and len(out) != size:
        raise ZstdError("%d bytes where the frame says %d" % (len(out), size))
    if flags & 4:
        if _le(data, at, 4) != xxh64(out) & 0xFFFFFFFF:
            raise ZstdError("the checksum of a frame does not fit")
        at += 4
    return bytes(out), at


class Table(NamedTuple):
    """An FSE table: by state the symbol, the bits to read and what they are added to."""

    log: int
    symbols: List[int]
    bits: List[int]
    bases: List[int]


class _State:
    """What a block may take over from the ones before."""

    def __init__(self) -> None:
        self.huffman: Optional[Tuple[int, Dict[str, Tuple[int, int]]]] = None
        self.tables: List[Optional[Table]] = [None, None, None]
        self.repeats = (1, 4, 8)


def _block(block: bytes, state: _State, out: bytearray) -> None:
    literals, at = _literals(block, state)
    n = block[at]
    at += 1
    if n == 255:
        n = _le(block, at, 2) + 0x7F00
        at += 2
    elif n >= 128:
        n = ((n - 128) << 8) + block[at]
        at += 1
    if n == 0:
        if at != len(block):
            raise ZstdError("bytes behind the literals")
        out += literals
        return
    modes = block[at]
    at += 1
    for i, shift in enumerate((6, 4, 2)):
        mode = modes >> shift & 3
        if mode == 0:
            state.tables[i] = _default(i)
        elif mode == 1:
            state.tables[i] = Table(0, [block[at]], [0], [0])
            at += 1
        elif mode == 2:
            state.tables[i], at = _read_table(block, at, (9, 8, 9)[i])
        elif state.tables[i] is None:
            raise ZstdError("a table is repeated that was not there")
    _sequences(block[at:], n, literals, state, out)


def _bits(stream: bytes) -> str:
    """The bits of a backward stream in the order in which they are read."""
    if not stream or stream[-1] == 0:
        raise ZstdError("a bit stream has no end mark")
    return bin(int.from_bytes(stream, "little"))[3:]


def _sequences(stream: bytes, n: int, literals: bytes, state: _State, out: bytearray) -> None:
    ll, of, ml = state.tables
    assert ll is not None and of is not None and ml is not None
    s = _bits(stream)
    end = len(s)
    p = 0

    def read(width: int) -> int:
        nonlocal p
        if width == 0:
            return 0
        q = p + width
        if q > end:
            raise ZstdError("a bit stream is cut off")
        v = int(s[p:q], 2)
        p = q
        return v

    ls, os, ms = read(ll.log), read(of.log), read(ml.log)
    r0, r1, r2 = state.repeats
    at = 0
    for left in range(n, 0, -1):
        code = of.symbols[os]
        if code > 31:
            raise ZstdError("an offset is too large")
        offset = (1 << code) + read(code)
        base, width = _ML[ml.symbols[ms]]
        match = base + read(width)
        base, width = _LL[ll.symbols[ls]]
        length = base + read(width)
        if left > 1:
            ls = ll.bases[ls] + read(ll.bits[ls])
            ms = ml.bases[ms] + read(ml.bits[ms])
            os = of.bases[os] + read(of.bits[os])
        if offset > 3:
            r0, r1, r2 = offset - 3, r0, r1
        else:
            which = offset - 1 + (length == 0)
            if which == 1:
                r0, r1 = r1, r0
            elif which == 2:
                r0, r1, r2 = r2, r0, r1
            elif which == 3:
                r0, r1, r2 = r0 - 1, r0, r1
        out += literals[at : at + length]
        at += length
        start = len(out) - r0
        if start < 0 or r0 == 0 or at > len(literals):
            raise ZstdError("a match reaches before the beginning")
        if r0 >= match:
            out += out[start : start + match]
        else:
            piece = bytes(out[start:])
            out += (piece * (match // r0 + 1))[:match]
    if p != end:
        raise ZstdError("bits are left over")
    state.repeats = (r0, r1, r2)
    out += literals[at:]


def _literals(block: bytes, state: _State) -> Tuple[bytes, int]:
    kind, form = block[0] & 3, block[0] >> 2 & 3
    if kind < 2:
        if form & 1 == 0:
            n, at = block[0] >> 3, 1
        elif form == 1:
            n, at = _le(block, 0, 2) >> 4, 2
        else:
            n, at = _le(block, 0, 3) >> 4, 3
        used = n if kind == 0 else 1
        if at + used > len(block):
            raise ZstdError("literals are cut off")
        return (block[at : at + n] if kind == 0 else block[at : at + 1] * n), at + used
    at, width = ((3, 10), (3, 10), (4, 14), (5, 18))[form]
    head = _le(block, 0, at)
    mask = (1 << width) - 1
    n, packed = head >> 4 & mask, head >> (4 + width) & mask
    end = at + packed
    if end > len(block):
        raise ZstdError("literals are cut off")
    if kind == 2:
        state.huffman, at = _read_huffman(block, at)
    if state.huffman is None:
        raise ZstdError("a Huffman table is repeated that was not there")
    if form == 0:
        return _huffman(block[at:end], n, state.huffman), end
    sizes = [_le(block, at + 2 * i, 2) for i in range(3)]
    at += 6
    parts, quarter = [], (n + 3) // 4
    for i in range(4):
        stop = at + sizes[i] if i < 3 else end
        if stop > end:
            raise ZstdError("literals are cut off")
        parts.append(_huffman(block[at:stop], quarter if i < 3 else n - 3 * quarter, state.huffman))
        at = stop
    return b"".join(parts), end


def _huffman(stream: bytes, n: int, table: Tuple[int, Dict[str, Tuple[int, int]]]) -> bytes:
    width, codes = table
    s = _bits(stream)
    end = len(s)
    s += "0" * width
    p = 0
    out = bytearray(max(n, 0))
    for i in range(n):
        symbol, used = codes[s[p : p + width]]
        out[i] = symbol
        p += used
    if p != end:
        raise ZstdError("a Huffman stream does not end where it should")
    return bytes(out)


def _read_huffman(block: bytes, at: int) -> Tuple[Tuple[int, Dict[str, Tuple[int, int]]], int]:
    head = block[at]
    at += 1
    if head >= 128:
        n = head - 127
        weights = []
        for byte in block[at : at + (n + 1) // 2]:
            weights += [byte >> 4, byte & 15]
        if len(weights) < n:
            raise ZstdError("a Huffman table is cut off")
        weights = weights[:n]
        at += (n + 1) // 2
    else:
        weights = _weights(block[at : at + head])
        at += head
    total = sum(1 << (w - 1) for w in weights if w)
    if total == 0:
        raise ZstdError("a Huffman table is empty")
    width = total.bit_length()
    rest = (1 << width) - total
    if width > 11 or rest & (rest - 1):
        raise ZstdError("a Huffman table does not add up")
    weights.append(rest.bit_length())
    codes: Dict[str, Tuple[int, int]] = {}
    index, form = 0, "0%db" % width
    for w in range(1, width + 1):
        for symbol, have in enumerate(weights):
            if have == w:
                for _ in range(1 << (w - 1)):
                    codes[format(index, form)] = (symbol, width + 1 - w)
                    index += 1
    return (width, codes), at


def _weights(data: bytes) -> List[int]:
    """The weights of a Huffman table: two FSE states that take turns."""
    table, at = _read_table(data, 0, 6)
    s = _bits(data[at:])
    p = 2 * table.log
    if p > len(s):
        raise ZstdError("a Huffman table is cut off")
    states = [int(s[: table.log], 2), int(s[table.log : p], 2)]
    weights: List[int] = []
    turn = 0
    while True:
        if len(weights) > 254:
            raise ZstdError("a Huffman table is too long")
        state = states[turn]
        weights.append(table.symbols[state])
        width = table.bits[state]
        if p + width > len(s):  # the other state has the last word
            weights.append(table.symbols[states[1 - turn]])
            return weights
        states[turn] = table.bases[state] + (int(s[p : p + width], 2) if width else 0)
        p += width
        turn = 1 - turn


def _read_table(data: bytes, at: int, most: int) -> Tuple[Table, int]:
    v = int.from_bytes(data[at : at + 256], "little")
    log = (v & 15) + 5
    if log > most:
        raise ZstdError("an FSE table is too large")
    pos, left, threshold, width = 4, (1 << log) + 1, 1 << log, log + 1
    counts: List[int] = []
    while left > 1:
        if len(counts) > 255:
            raise ZstdError("an FSE table has too many symbols")
        spare = 2 * threshold - 1 - left
        value = v >> pos
        if value & (threshold - 1) < spare:
            count = value & (threshold - 1)
            pos += width - 1
        else:
            count = value & (2 * threshold - 1)
            if count >= threshold:
                count -= spare
            pos += width
        count -= 1
        left -= abs(count)
        counts.append(count)
        while left < threshold and threshold > 1:
            width -= 1
            threshold >>= 1
        if count == 0:
            more = 3
            while more == 3:
                more = v >> pos & 3
                pos += 2
                counts += [0] * more
    if left != 1:
        raise ZstdError("an FSE table does not add up")
    end = at + (pos + 7) // 8
    if end > len(data):
        raise ZstdError("an FSE table is cut off")
    return _table(log, counts), end


def _table(log: int, counts: List[int]) -> Table:
    size = 1 << log
    symbols = [0] * size
    high = size - 1
    for symbol, count in enumerate(counts):
        if count == -1:
            symbols[high] = symbol
            high -= 1
    step, at = (size >> 1) + (size >> 3) + 3, 0
    for symbol, count in enumerate(counts):
        for _ in range(max(count, 0)):
            symbols[at] = symbol
            at = (at + step) & (size - 1)
            while at > high:
                at = (at + step) & (size - 1)
    following = [1 if c == -1 else c for c in counts]
    bits, bases = [], []
    for symbol in symbols:
        x = following[symbol]
        following[symbol] += 1
        width = log - x.bit_length() + 1
        bits.append(width)
        bases.append((x << width) - size)
    return Table(log, symbols, bits, bases)


def _lengths(first: int, direct: int, more: List[Tuple[int, int]]) -> List[Tuple[int, int]]:
    return [(first + i, 0) for i in range(direct)] + more


_LL = _lengths(0, 16, [
    (16, 1), (18, 1), (20, 1), (22, 1), (24, 2), (28, 2), (32, 3), (40, 3), (48, 4), (64, 6), (128, 7), (256, 8), (512, 9),
    (1024, 10), (2048, 11), (4096, 12), (8192, 13), (16384, 14), (32768, 15), (65536, 16),
])  # fmt: skip
_ML = _lengths(3, 32, [
    (35, 1), (37, 1), (39, 1), (41, 1), (43, 2), (47, 2), (51, 3), (59, 3), (67, 4), (83, 4), (99, 5), (131, 7), (259, 8),
    (515, 9), (1027, 10), (2051, 11), (4099, 12), (8195, 13), (16387, 14), (32771, 15), (65539, 16),
])  # fmt: skip

_DEFAULTS: Tuple[Tuple[int, List[int]], ...] = (
    (6, [4, 3] + [2] * 11 + [1] * 3 + [2] * 9 + [3, 2] + [1] * 5 + [-1] * 4),
    (5, [1] * 6 + [2] * 3 + [1] * 15 + [-1] * 5),
    (6, [1, 4, 3] + [2] * 6 + [1] * 37 + [-1] * 7),
)
_default_tables: Dict[int, Table] = {}


def _default(i: int) -> Table:
    if i not in _default_tables:
        _default_tables[i] = _table(*_DEFAULTS[i])
    return _default_tables[i]


_M = (1 << 64) - 1
_P1, _P2, _P3, _P4, _P5 = 0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0x85EBCA77C2B2AE63, 0x27D4EB2F165667C5


def xxh64(data: Any) -> int:
    """The checksum of frames, with seed 0.

    >>> "%016x" % xxh64(b"")
    'ef46db3751d8e999'
    """
    n, at = len(data), 0
    if n >= 32:
        a, b, c, d = (_P1 + _P2) & _M, _P2, 0, -_P1 & _M
        whole = n & ~31
        words = memoryview(bytes(data[:whole])).cast("Q")
        for i in range(0, len(words), 4):
            a = (a + words[i] * _P2) & _M
            a = ((a << 31 | a >> 33) & _M) * _P1 & _M
            b = (b + words[i + 1] * _P2) & _M
            b = ((b << 31 | b >> 33) & _M) * _P1 & _M
            c = (c + words[i + 2] * _P2) & _M
            c = ((c << 31 | c >> 33) & _M) * _P1 & _M
            d = (d + words[i + 3] * _P2) & _M
            d = ((d << 31 | d >> 33) & _M) * _P1 & _M
        h = (_rotate(a, 1) + _rotate(b, 7) + _rotate(c, 12) + _rotate(d, 18)) & _M
        for lane in (a, b, c, d):
            h = ((h ^ _round(0, lane)) * _P1 + _P4) & _M
        at = whole
    else:
        h = _P5
    h = (h + n) & _M
    while at + 8 <= n:
        h = (_rotate(h ^ _round(0, int.from_bytes(data[at : at + 8], "little")), 27) * _P1 + _P4) & _M
        at += 8
    if at + 4 <= n:
        h = (_rotate(h ^ int.from_bytes(data[at : at + 4], "little") * _P1 & _M, 23) * _P2 + _P3) & _M
        at += 4
    while at < n:
        h = _rotate(h ^ data[at] * _P5 & _M, 11) * _P1 & _M
        at += 1
    h = (h ^ h >> 33) * _P2 & _M
    h = (h ^ h >> 29) * _P3 & _M
    return h ^ h >> 32


def _rotate(v: int, n: int) -> int:
    return (v << n | v >> (64 - n)) & _M


def _round(acc: int, word: int) -> int:
    return _rotate((acc + word * _P2) & _M, 31) * _P1 & _M
