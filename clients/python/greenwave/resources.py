"""Measures what the trainer's process and its host use, from /proc. What cannot be
measured is left out."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from typing import Any, Dict, List, Optional, Tuple

_SMI_TIME = 5.0  # seconds that nvidia-smi may take; it is not asked again after it failed


class Sampler:
    """CPU is measured since the sample before, or since the sampler was made."""

    def __init__(self) -> None:
        self._smi = shutil.which("nvidia-smi")
        self._at, self._own, self._host = time.monotonic(), _own_cpu(), _host_cpu()

    def sample(self, folder: str) -> Dict[str, Any]:
        """A record of kind resource; folder is the one whose disk is asked."""
        now, own, host = time.monotonic(), _own_cpu(), _host_cpu()
        r: Dict[str, Any] = {}
        if now > self._at and own >= self._own:
            r["process_cpu_percent"] = 100 * (own - self._own) / (now - self._at)
        if host is not None and self._host is not None and host[1] > self._host[1]:
            idle = (host[0] - self._host[0]) / (host[1] - self._host[1])
            r["host_cpu_percent"] = min(100.0, max(0.0, 100 * (1 - idle)))
        self._at, self._own, self._host = now, own, host
        r.update(_memory())
        try:
            d = os.statvfs(folder)
            r["disk_free_mb"] = d.f_bavail * d.f_frsize / 1e6
            r["disk_total_mb"] = d.f_blocks * d.f_frsize / 1e6
        except OSError:
            pass
        if self._smi is not None:
            gpus = _ask_gpus(self._smi)
            if gpus is None:
                self._smi = None
            else:
                r["gpus"] = gpus
        return r


def _own_cpu() -> float:
    t = os.times()
    return t.user + t.system


def _host_cpu() -> Optional[Tuple[int, int]]:
    """Idle and all ticks of the host."""
    try:
        with open("/proc/stat", encoding="ascii") as f:
            ticks = [int(x) for x in f.readline().split()[1:9]]
        return ticks[3] + ticks[4], sum(ticks)
    except (OSError, ValueError, IndexError):
        return None


def _memory() -> Dict[str, float]:
    r = {}
    try:
        with open("/proc/self/statm", encoding="ascii") as f:
            r["process_memory_mb"] = int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
        with open("/proc/meminfo", encoding="ascii") as f:
            kb = {name: int(rest.split()[0]) for name, _, rest in (line.partition(":") for line in f)}
        r["host_memory_total_mb"] = kb["MemTotal"] * 1024 / 1e6
        r["host_memory_used_mb"] = (kb["MemTotal"] - min(kb["MemTotal"], kb["MemAvailable"])) * 1024 / 1e6
    except (OSError, ValueError, IndexError, KeyError):
        pass
    return r


def _ask_gpus(smi: str) -> Optional[List[Dict[str, Any]]]:
    try:
        out = subprocess.run(
            [smi, "--query-gpu=index,name,utilization.gpu,memory.used,memory.total", "--format=csv,noheader,nounits"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=_SMI_TIME, check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    return read_gpus(out.stdout.decode("utf-8", "replace")) or None


def read_gpus(text: str) -> List[Dict[str, Any]]:
    """The lines of nvidia-smi, which counts memory in MiB; records count in 10^6 bytes.

    >>> read_gpus("0, NVIDIA A100, 35, 1000, [N/A]")
    [{'name': 'NVIDIA A100', 'index': 0.0, 'utilization_percent': 35.0, 'memory_used_mb': 1048.576}]
    """
    gpus = []
    for line in text.splitlines():
        f = [part.strip() for part in line.split(",")]
        if len(f) != 5:
            continue
        gpu: Dict[str, Any] = {"name": f[1]}
        for i, name in ((0, "index"), (2, "utilization_percent"), (3, "memory_used_mb"), (4, "memory_total_mb")):
            try:
                gpu[name] = float(f[i]) * (1.048576 if name.endswith("_mb") else 1)
            except ValueError:
                continue  # "[N/A]"
        gpus.append(gpu)
    return gpus
