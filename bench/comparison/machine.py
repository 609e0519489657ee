"""What it ran on."""

import os
import platform
import resource
import subprocess
from pathlib import Path

from .places import REPOSITORY


def facts() -> dict:
    return {
        "processor": line_of("/proc/cpuinfo", "model name"),
        "processors": len(os.sched_getaffinity(0)),
        "memory_gib": round(int(line_of("/proc/meminfo", "MemTotal").split()[0]) / 2**20),
        "kernel": f"{platform.system()} {platform.release()}",
        "system": line_of("/etc/os-release", "PRETTY_NAME", "=").strip('"'),
        "descriptors_max": resource.getrlimit(resource.RLIMIT_NOFILE)[1],
        "compiler": said_by("rustc", "--version"),
        "revision": said_by("git", "-C", str(REPOSITORY), "rev-parse", "--short=12", "HEAD"),
        "changed": bool(said_by("git", "-C", str(REPOSITORY), "status", "--porcelain", "--untracked-files=no")),
    }


def allow_descriptors():
    """For us and what we start: as many as the system lets a process have."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def line_of(path: str, name: str, separator: str = ":") -> str:
    for line in Path(path).read_text().splitlines():
        key, _, value = line.partition(separator)
        if key.strip() == name:
            return value.strip()
    return "?"


def said_by(*command: str) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    except OSError:
        return "?"
