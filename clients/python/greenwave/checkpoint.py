"""Reads what a checkpoint says of its file."""

from __future__ import annotations

import hashlib
from typing import Tuple

from .errors import FieldError


def measure_file(path: str) -> Tuple[int, str]:
    """Reads a file once: its size in bytes and its SHA-256."""
    h, size = hashlib.sha256(), 0
    try:
        with open(path, "rb") as f:
            for part in iter(lambda: f.read(1 << 20), b""):
                h.update(part)
                size += len(part)
    except OSError as exc:
        raise FieldError("checkpoint", "model_path", f'"{path}"', f"cannot be read ({exc}): save the model before it is logged, or give model_size_mb and model_hash") from exc
    return size, h.hexdigest()
