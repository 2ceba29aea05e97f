"""What the header of a run says of its program and machine. Arguments and environment
are left out, because people put secrets there."""

from __future__ import annotations

import os
import platform
import re
import shutil
import socket
import subprocess
import sys
import time
import uuid
from typing import Any, Dict, Optional, Tuple

from ._version import __version__

_GIT_TIME = 2.0  # seconds that git may take

# Libraries whose versions explain a result; only those that are imported already.
_LIBRARIES = ("numpy", "torch", "tensorflow", "jax", "gymnasium", "stable_baselines3", "sumo_rl", "traci", "libsumo")


def describe() -> Dict[str, Any]:
    """The facts of the header that do not come from the caller. Each is worth having,
    and none worth failing for."""
    main = getattr(sys.modules.get("__main__"), "__file__", None)
    folder = os.path.dirname(os.path.abspath(main)) if main else os.getcwd()
    commit, dirty = git_commit(folder)
    program = os.path.basename(main) if main else os.path.basename(sys.executable or "python")
    facts: Dict[str, Any] = {
        "host": socket.gethostname(), "os": _system(), "pid": os.getpid(), "program": program,
        "versions": versions(), "git_commit": commit,
    }  # fmt: skip
    if dirty:
        facts["git_dirty"] = True
    return facts


def _system() -> str:
    machine = platform.machine().lower()
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)
    return f"{platform.system().lower()}/{machine}"


def versions() -> Dict[str, str]:
    found = {"python": platform.python_version(), "greenwave-python": __version__}
    for name in _LIBRARIES:
        version = getattr(sys.modules.get(name), "__version__", None)
        if isinstance(version, str):
            found[name] = version
    return found


def git_commit(folder: str) -> Tuple[str, bool]:
    """The commit of the repository that holds the folder, and whether files of it were
    changed since. The commit is read without git; without git nothing is known of
    changes."""
    top = folder
    while not os.path.exists(os.path.join(top, ".git")):
        parent = os.path.dirname(top)
        if parent == top:
            return "", False
        top = parent
    git = os.path.join(top, ".git")
    if not os.path.isdir(git):  # a worktree or submodule: a file that says where
        target = _first_line(git)
        if not target.startswith("gitdir: "):
            return "", False
        git = os.path.join(top, target[len("gitdir: ") :])
    commit = _head(git)
    return commit, bool(commit) and _dirty(top)


def _head(git: str) -> str:
    head = _first_line(os.path.join(git, "HEAD"))
    if not head.startswith("ref: "):
        return _commit(head)
    ref = head[len("ref: ") :]
    common = _first_line(os.path.join(git, "commondir"))
    shared = os.path.join(git, common) if common else git
    for g in (git, shared):
        commit = _commit(_first_line(os.path.join(g, ref)))
        if commit:
            return commit
    try:
        with open(os.path.join(shared, "packed-refs"), encoding="utf-8", errors="replace") as f:
            for line in f:
                commit, _, name = line.strip().partition(" ")
                if name == ref:
                    return _commit(commit)
    except OSError:
        pass
    return ""


def _commit(text: str) -> str:
    return text if re.match(r"([0-9a-f]{40}|[0-9a-f]{64})\Z", text) else ""


def _first_line(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as f:
            return f.readline().strip()
    except OSError:
        return ""


def _dirty(top: str) -> bool:
    git = shutil.which("git")
    if git is None:
        return False
    try:
        out = subprocess.run(
            [git, "-C", top, "status", "--porcelain", "--untracked-files=no"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=_GIT_TIME,
            env={**os.environ, "GIT_OPTIONAL_LOCKS": "0"},
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return False
    return out.returncode == 0 and bool(out.stdout.strip())


def new_run_id() -> str:
    """A UUID of version 7: run ids sort by time."""
    value = (time.time_ns() // 1_000_000) << 80 | int.from_bytes(os.urandom(10), "big")
    value = value & ~(0xF << 76) & ~(0x3 << 62) | 0x7 << 76 | 0x2 << 62
    return str(uuid.UUID(int=value))


def row_id(run_id: str, seq: int) -> str:
    """The id of the row that a record becomes, where rows have ids of their own."""
    return str(uuid.uuid5(uuid.UUID(run_id), str(seq)))


def experiment_trouble(name: object, longest: int = 200) -> Optional[str]:
    """Why a text cannot name an experiment; None when it can."""
    if not isinstance(name, str) or name == "":
        return "experiment is empty: name the line of training that this run belongs to"
    try:
        name.encode()
    except UnicodeEncodeError:
        return f"experiment {name!r} is not valid UTF-8"
    if len(name) > longest:
        return f"experiment has {len(name)} characters: must be at most {longest}; put the rest into description or metadata"
    for i, c in enumerate(name):
        if c < " " or c == "\x7f":
            return f"experiment {name!r} has a control character at {i}: must be printable text"
    return None
