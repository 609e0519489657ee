"""Getting what is needed from the ordinary registries (crates.io, npm, PyPI, Debian), into the cache.

Everything returns the version it got, or raises `Missing` with words for the table.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from .places import PEERS, REPOSITORY, cache

# A first build of everything on two cores takes a few minutes.
TIMEOUT_S = 1_200


class Missing(Exception):
    """It cannot be had here."""


def command(arguments: list, **options) -> str:
    """Runs to the end; returns what it printed."""
    arguments = [str(argument) for argument in arguments]
    try:
        done = subprocess.run(arguments, capture_output=True, text=True, timeout=TIMEOUT_S, check=False, **options)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Missing(f"{arguments[0]}: {error}") from error
    if done.returncode != 0:
        words = (done.stderr.strip() or done.stdout.strip()).splitlines()[-3:]
        raise Missing(f"`{' '.join(arguments[:4])} …` failed: {' / '.join(words)}")
    return done.stdout


def cargo(manifest: Path, package: str, binary: str, target: Path | None, debug: bool) -> Path:
    """Builds a program with what its Cargo.lock says; returns where it is."""
    arguments = ["cargo", "build", "--quiet", "--locked", "--manifest-path", manifest, "-p", package, "--bin", binary]
    if target:
        arguments += ["--target-dir", target]
    if not debug:
        arguments.append("--release")
    command(arguments)
    return built(target or own_target(), debug) / binary


def built(target: Path, debug: bool) -> Path:
    return target / ("debug" if debug else "release")


def own_target() -> Path:
    return Path(os.environ.get("CARGO_TARGET_DIR") or REPOSITORY / "target")


def own(package: str, debug: bool) -> Path:
    """One of the repository's own programs. A debug build that is there is taken as it is: tests have just made it."""
    made = built(own_target(), debug) / package
    return made if debug and made.exists() else cargo(REPOSITORY / "Cargo.toml", package, package, None, debug)


def rust_peer(package: str, debug: bool) -> Path:
    """A peer in Rust."""
    return cargo(PEERS / "rust" / "Cargo.toml", package, package, cache() / "target", debug)


def locked_version(package: str) -> str:
    """What version of a crate the peers are built with."""
    lines = (PEERS / "rust" / "Cargo.lock").read_text().splitlines()
    return json.loads(lines[lines.index(f'name = "{package}"') + 1].removeprefix("version = "))


def npm(packages: dict[str, str]) -> Path:
    """Packages by name and version range; returns the directory they are in."""
    directory = cache() / "node"
    modules = directory / "node_modules"
    if any(not (modules / name / "package.json").exists() for name in packages):
        directory.mkdir(parents=True, exist_ok=True)
        wanted = [f"{name}@{version}" for name, version in packages.items()]
        command(["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", directory, *wanted])
    return modules


def npm_version(name: str) -> str:
    return json.loads((cache() / "node" / "node_modules" / name / "package.json").read_text())["version"]


def pip(package: str) -> Path:
    """A package from PyPI in a virtual environment of its own; returns its Python."""
    environment = cache() / "venv"
    python = environment / "bin" / "python3"
    name = package.split("=")[0]
    if not list(environment.glob(f"lib/*/site-packages/{name}")):
        command([sys.executable, "-m", "venv", environment])
        command([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", package])
    return python


def pip_version(python: Path, name: str) -> str:
    return command([python, "-c", f"import importlib.metadata as m; print(m.version('{name}'))"]).strip()


def debian(package: str) -> tuple[Path, str]:
    """A Debian package, unpacked into the cache, not installed; returns where, and its version."""
    root = cache() / "debian" / package
    stamp = root / "VERSION"
    if not stamp.exists():
        if not shutil.which("apt-get"):
            raise Missing("needs apt-get")
        shutil.rmtree(root, ignore_errors=True)
        root.mkdir(parents=True)
        try:
            command(["apt-get", "download", package], cwd=root)
        except Missing:
            # Lists of packages that are not there, or too old.
            command(["apt-get", "update", "-qq"])
            command(["apt-get", "download", package], cwd=root)
        archive = next(root.glob("*.deb"))
        command(["dpkg-deb", "-x", archive, root])
        stamp.write_text(command(["dpkg-deb", "-f", archive, "Version"]).strip())
        archive.unlink()
    return root, stamp.read_text()


def program(name: str, package: str) -> str:
    """A program of the system, installed where it is missing."""
    path = os.environ.get("PATH", "") + ":/usr/sbin"
    if not shutil.which(name, path=path):
        root = [] if os.geteuid() == 0 else ["sudo", "-n"]
        noninteractive = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        command([*root, "apt-get", "install", "-y", "-qq", "--no-install-recommends", package], env=noninteractive)
    found = shutil.which(name, path=path)
    if not found:
        raise Missing(f"needs {name} (Debian: {package})")
    return found


def java_classes(source: Path, classpath: str) -> Path:
    """Compiles one class; returns the directory it is in."""
    out = cache() / "java"
    compiled = out / source.with_suffix(".class").name
    if not compiled.exists() or compiled.stat().st_mtime < source.stat().st_mtime:
        out.mkdir(parents=True, exist_ok=True)
        command([program("javac", "default-jdk-headless"), "-d", out, "-cp", classpath, source])
    return out
