"""Turns what a trainer logs into the JSON of a record.

The rules are those of docs/records.md; schema.json is written from the Go source, so
that both clients refuse the same things in the same words. numpy, torch and pandas are
never imported: what has tolist() is asked for its Python values.
"""

from __future__ import annotations

import dataclasses
import enum
import json
import math
import os
import re
import uuid
from collections import deque
from datetime import date, datetime, timezone
from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Optional, Tuple

from .errors import FieldError

_INF = math.inf
_INT64 = 1 << 63
_MAX_DEPTH = 500
_MAX_UNKNOWN = 10_000

NON_FINITE = "non_finite"
_RULE_JSON = "must be JSON: texts, numbers, lists, objects, or what has tolist()"
_RULE_NUMBER = "must be a number"
_RULE_RANGE = "must be a number of double precision"
_RULE_UTF8 = "must be valid UTF-8"
_RULE_NUL = "must not contain the character U+0000"
_RULE_ONCE = "must be written once"
_RULE_DEPTH = f"must have at most {_MAX_DEPTH} levels of nesting"
_RULE_PATHS = 'must be a list of paths such as "avg_loss"'


class Field(NamedTuple):
    """A field of a kind of record; see docs/records.md."""

    name: str
    type: str  # int, float, text, json, vector, time, uuid
    required: bool
    min: float
    max: float
    one_of: Tuple[str, ...]
    object: bool
    numbers: bool
    unit: str
    doc: str
    rule: str


def _load() -> Dict[str, Dict[str, Field]]:
    with open(os.path.join(os.path.dirname(__file__), "schema.json"), encoding="utf-8") as f:
        raw = json.load(f)
    kinds = {}
    for kind, fields in raw.items():
        kinds[kind] = {
            f["name"]: Field(
                f["name"], f["type"], f.get("required", False), f.get("min", -_INF), f.get("max", _INF),
                tuple(f.get("one_of", ())), f.get("object", False), f.get("numbers", False),
                f.get("unit", ""), f.get("doc", ""), f["rule"],
            )
            for f in fields
        }  # fmt: skip
    return kinds


SCHEMAS = _load()
_REQUIRED = {kind: [f.name for f in fields.values() if f.required] for kind, fields in SCHEMAS.items()}

_dump = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), check_circular=False).encode


class _Trouble(Exception):
    """A value inside a record that breaks a rule."""

    def __init__(self, path: str, value: Any, rule: str) -> None:
        self.path, self.value, self.rule = path, value, rule


def encode(kind: str, record: Mapping[str, Any]) -> bytes:
    """The record as one JSON object. A field that is None and has a column is left
    out. NaN and infinity are written as texts and their paths listed in non_finite.

    >>> encode("step", {"episode_number": 1, "step_number": 2, "speeds": {"A": float("nan")}, "mine": (1, 2)})
    b'{"episode_number":1,"step_number":2,"speeds":{"A":"NaN"},"mine":[1,2],"non_finite":["speeds.A"]}'
    """
    fields = SCHEMAS[kind]
    out: Dict[str, Any] = {}
    found: List[str] = []
    name = ""
    try:
        for name, value in record.items():
            field = fields.get(name)
            if field is None:
                if type(name) is not str:
                    raise _Trouble(str(name), name, "must have a text as its name")
                if name == NON_FINITE:
                    found += _own_list(value)
                    continue
                _check_text(name, name)
                out[name] = _plain(value, [name], found, False, 0)
                continue
            if value is None:
                continue
            value = _WRITERS[field.type](field, value, found)
            if value is not None:
                out[name] = value
    except _Trouble as t:
        raise FieldError(kind, t.path if len(t.path) <= 200 else t.path[:59] + "…", _shorten(t.value), t.rule) from None
    for name in _REQUIRED[kind]:
        if name not in out:
            raise FieldError(kind, name, "missing", fields[name].rule)
    if len(out) > _MAX_UNKNOWN and len(out.keys() - fields.keys()) > _MAX_UNKNOWN:
        raise FieldError(kind, name, "too much", f"must be one of at most {_MAX_UNKNOWN} fields without a column")
    if found:
        out[NON_FINITE] = list(dict.fromkeys(found))
    return _dump(out).encode()


def plain(value: Any) -> Any:
    """Python values that JSON can hold; NaN and infinity become texts. For the
    configuration of a run.

    >>> plain({"lr": 0.5, "clip": float("inf"), 3: {"b"}})
    {'lr': 0.5, 'clip': 'Infinity', '3': ['b']}
    """
    try:
        return _plain(value, [], [], False, 0)
    except _Trouble as t:
        raise ValueError(f"{t.path} is {_shorten(t.value)}: {t.rule}") from None


# The writers of field types: each returns what goes into the JSON.


def _int(field: Field, value: Any, found: List[str]) -> Any:
    if type(value) is not int:
        value = _number(field.name, value, field.rule)
        if isinstance(value, float):
            if value != value or value in (_INF, -_INF):
                if field.required:
                    raise _Trouble(field.name, value, field.rule)
                found.append(path_of([field.name]))
                return _word(value)
            if value != int(value):
                raise _Trouble(field.name, value, field.rule)
            value = int(value)
    if not field.min <= value <= field.max or not -_INT64 <= value < _INT64:
        raise _Trouble(field.name, value, field.rule)
    return value


def _float(field: Field, value: Any, found: List[str]) -> Any:
    if type(value) is not float:
        value = _number(field.name, value, field.rule)
    if field.min <= value <= field.max and value - value == 0:
        return value
    if value != value or value in (_INF, -_INF):
        found.append(field.name)
        return _word(value)
    raise _Trouble(field.name, value, field.rule)


def _number(path: str, value: Any, rule: str) -> Any:
    """An int or a float; texts and truth values are neither."""
    kind = type(value)
    if kind is float:
        return value
    if kind is int:
        _check_size(path, value)
        return value
    if kind is not bool and kind is not str:
        value = _unwrap(path, value, rule)
        if type(value) is list and len(value) == 1 and type(value[0]) in (int, float):
            value = value[0]  # an array or tensor of one element
        if type(value) in (int, float):
            return _number(path, value, rule)
    raise _Trouble(path, value, rule)


def _text(field: Field, value: Any, found: List[str]) -> Any:
    if not isinstance(value, str):
        if isinstance(value, enum.Enum):
            value = value.value
        if isinstance(value, os.PathLike):
            value = os.fspath(value)
        if isinstance(value, uuid.UUID):
            value = str(value)
        if not isinstance(value, str):
            raise _Trouble(field.name, value, field.rule)
    value = str(value)
    _check_text(field.name, value)
    if field.one_of and value not in field.one_of or field.required and not value:
        raise _Trouble(field.name, value, field.rule)
    return value


def _uuid(field: Field, value: Any, found: List[str]) -> Any:
    text = str(value)
    try:
        if len(text) == 36:
            return str(uuid.UUID(text))
    except ValueError:
        pass
    raise _Trouble(field.name, value, field.rule)


def _time(field: Field, value: Any, found: List[str]) -> Any:
    if isinstance(value, datetime):
        # A datetime without a zone is local time, as everywhere in Python.
        return value.astimezone(timezone.utc).isoformat(timespec="microseconds")
    if isinstance(value, str):
        try:
            if not _INSTANT.match(value):
                raise ValueError
            datetime.fromisoformat(value[:10] + "T" + value[11:19])
            return value
        except ValueError:
            pass
    raise _Trouble(field.name, value, field.rule)


def _json(field: Field, value: Any, found: List[str]) -> Any:
    value = _plain(value, [field.name], found, field.numbers, 0)
    if field.object and type(value) is not dict:
        raise _Trouble(field.name, value, field.rule)
    return value


def _vector(field: Field, value: Any, found: List[str]) -> Any:
    if hasattr(value, "tolist"):
        value = value.tolist()
    if type(value) is tuple:
        value = list(value)
    if type(value) is not list:
        raise _Trouble(field.name, value, field.rule)
    if _all_finite(value):
        return value
    out = []
    for i, v in enumerate(value):
        if v is not None:
            path = f"{field.name}[{i}]"
            v = _number(path, v, _RULE_NUMBER)
            if v - v != 0:
                found.append(path)
                v = _word(v)
        out.append(v)
    return out


_WRITERS: Dict[str, Callable[[Field, Any, List[str]], Any]] = {
    "int": _int, "float": _float, "text": _text, "uuid": _uuid, "time": _time, "json": _json, "vector": _vector,
}  # fmt: skip

_INSTANT = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d([.,]\d+)?([Zz]|[+-]([01]\d|2[0-3]):[0-5]\d)?\Z", re.ASCII)

_NUMBERS = frozenset((int, float))


def _all_finite(values: List[Any]) -> bool:
    """Whether all are plain finite numbers, told without a loop in Python."""
    if not _NUMBERS.issuperset(map(type, values)):
        return False
    try:
        total = math.fsum(values)
    except (OverflowError, ValueError):
        return False
    return total - total == 0


def _plain(value: Any, path: List[Any], found: List[str], numbers: bool, depth: int) -> Any:
    """The value as JSON can hold it, with the paths of what is not finite in found.
    With numbers every leaf must be a number or None."""
    kind = type(value)
    if kind is float:
        if value - value == 0:
            return value
        found.append(path_of(path))
        return _word(value)
    if kind is int:
        if -_INT64 <= value < _INT64:
            return value
        _check_size(path_of(path), value)
        return value
    if value is None:
        return None
    if kind is dict:
        if depth >= _MAX_DEPTH:
            raise _Trouble(path_of(path), "too deep", _RULE_DEPTH)
        out = {}
        for k, v in value.items():
            if type(k) is not str:
                k = _name(k, path)
            elif "\0" in k or not k.isascii():
                _check_text(path_of(path), k)
            if k in out:
                raise _Trouble(path_of(path + [k]), "there twice", _RULE_ONCE)
            path.append(k)
            out[k] = _plain(v, path, found, numbers, depth + 1)
            path.pop()
        return out
    if kind is list or kind is tuple:
        if depth >= _MAX_DEPTH:
            raise _Trouble(path_of(path), "too deep", _RULE_DEPTH)
        if kind is list and _all_finite(value):
            return value
        items = []
        for i, v in enumerate(value):
            path.append(i)
            items.append(_plain(v, path, found, numbers, depth + 1))
            path.pop()
        return items
    if numbers:
        where = path_of(path)
        if kind is str and len(path) > 1 and value in _WORDS:
            found.append(where)
            return _WORDS[value]
        value = _unwrap(where, value, _RULE_NUMBER)
        if type(value) in (str, bool):
            raise _Trouble(where, value, _RULE_NUMBER)
        return _plain(value, path, found, numbers, depth)
    if kind is bool:
        return value
    if kind is str:
        if "\0" in value or not value.isascii():
            _check_text(path_of(path), value)
        return value
    return _plain(_unwrap(path_of(path), value, _RULE_JSON), path, found, numbers, depth + 1)


# Texts that stand for numbers that are not finite.
_WORDS = {
    "NaN": "NaN", "nan": "NaN", "Infinity": "Infinity", "inf": "Infinity", "-Infinity": "-Infinity", "-inf": "-Infinity",
}  # fmt: skip


def _unwrap(path: str, value: Any, rule: str) -> Any:
    """One step from another type to a plain one."""
    if hasattr(value, "tolist"):  # numpy, torch, pandas, array.array
        return value.tolist()
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, bool):
        return bool(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value)
    if isinstance(value, str):
        return str(value)
    if isinstance(value, (list, tuple, deque)):
        return list(value)
    if isinstance(value, (set, frozenset)):
        return sorted(value, key=repr)
    if isinstance(value, datetime):
        return value.astimezone(timezone.utc).isoformat(timespec="microseconds")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, uuid.UUID):
        return str(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
    if hasattr(value, "item"):  # a scalar of a library that has no tolist
        return value.item()
    if hasattr(value, "__index__"):
        return value.__index__()
    if hasattr(value, "__float__") and not isinstance(value, complex):  # Decimal, Fraction
        return float(value)
    raise _Trouble(path, value, rule)


def _name(key: Any, path: List[Any]) -> str:
    """A key that is not a text, as json.dumps would write it."""
    if hasattr(key, "item"):
        key = key.item()
    if isinstance(key, enum.Enum):
        key = key.value
    if isinstance(key, str):
        _check_text(path_of(path), key)
        return str(key)
    if key is None or isinstance(key, (bool, int, float)):
        return json.dumps(key)
    raise _Trouble(path_of(path), key, "must have texts or numbers as names")


def _check_text(path: str, value: str) -> None:
    if "\0" in value:
        raise _Trouble(path, value, _RULE_NUL)
    try:
        value.encode()
    except UnicodeEncodeError:
        raise _Trouble(path, value, _RULE_UTF8) from None


def _check_size(path: str, value: int) -> None:
    try:
        float(value)
    except OverflowError:
        raise _Trouble(path, "an integer of %d bits" % value.bit_length(), _RULE_RANGE) from None


def _own_list(value: Any) -> List[str]:
    """The paths that the caller lists in non_finite."""
    if value is None:
        return []
    paths = _plain(value, [NON_FINITE], [], False, 0)
    if type(paths) is not list or not all(type(p) is str for p in paths):
        raise _Trouble(NON_FINITE, value, _RULE_PATHS)
    return paths


def _word(value: float) -> str:
    if value != value:
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"


def path_of(path: List[Any]) -> str:
    """Names a value in a record, as the column extra.non_finite does.

    >>> path_of(["speeds", "5th.Ave", 3])
    'speeds["5th.Ave"][3]'
    """
    text = ""
    for p in path:
        if type(p) is int:
            text += f"[{p}]"
        elif p == "" or any(c in p for c in '.[]"'):
            text += f"[{_dump(p)}]"
        else:
            text += f".{p}" if text else p
    return text


def _shorten(value: Any) -> str:
    """A value for a message: on one line, 60 characters at most."""
    try:
        text = str(value) if value in ("missing", "there twice", "too deep", "too much") else _dump(value)
    except Exception:  # whatever a foreign type does
        text = repr(value)
    text = "".join(c if c.isprintable() else " " for c in text)
    return text if len(text) <= 60 else text[:59] + "…"


def field_of(kind: str, name: str) -> Optional[Field]:
    """A field by its name; None when the record would keep it in extra."""
    return SCHEMAS[kind].get(name)
