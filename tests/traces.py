"""Files and addresses that a program and its children use, as recorded by strace."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

_OPEN = re.compile(r'open(?:at)?\((?:[^<"]*(?:<([^>]*)>)?, )?"([^"]*)", ([A-Z_|]+).* = \d')
_MADE = re.compile(r'(?:mkdir|creat|rename|link|symlink|mknod)\w*\(.*"([^"]*)".* = \d')
_CALLED = re.compile(r"(?:connect|bind|sendto|sendmsg|sendmmsg)\(.*sa_family=(AF_\w+)(.*)")
_HOST = re.compile(r'inet_(?:addr\(|pton\(AF_INET6, )"([^"]*)"|sun_path=@?"([^"]*)"')
_WRITES = {"O_CREAT", "O_WRONLY", "O_RDWR"}


class Trace(NamedTuple):
    """Absolute paths that were opened for writing, made or renamed to, and addresses used."""

    written: set[str]
    called: set[str]


def strace() -> str:
    """The program; skips the test if it is missing or may not trace."""
    program = shutil.which("strace")
    if program is None:
        pytest.skip("strace is not installed")
    tried = subprocess.run(
        [program, "-f", "-o", "/dev/null", "true"], capture_output=True, text=True, check=False
    )
    if tried.returncode:
        pytest.skip(f"strace may not trace here: {tried.stderr.strip()}")
    return program


def traced(program: str, folder: Path, command: Sequence[str]) -> list[str]:
    """The command line that runs `command` and writes its trace into `folder`, one file per thread."""
    calls = "trace=network,open,openat,creat,mkdir,mkdirat,rename,renameat,renameat2,link,linkat"
    calls += ",symlink,symlinkat,mknod,mknodat"
    to = str(folder / "trace")
    return [program, "-ff", "-qq", "-y", "-s", "1000", "-o", to, "-e", calls, *command]


def read_trace(folder: Path) -> Trace:
    """Reads the trace that `traced` wrote."""
    written, called = set[str](), set[str]()
    for file in folder.glob("trace.*"):
        for line in file.read_text(errors="replace").splitlines():
            if (opened := _OPEN.match(line)) and _WRITES & set(opened[3].split("|")):
                written.add(str(Path(opened[1] or "/", opened[2])))
            elif made := _MADE.match(line):
                written.add(made[1])
            elif found := _CALLED.match(line):
                host = _HOST.search(found[2])
                called.add(found[1] if host is None else host[1] or host[2])
    return Trace(written, called)
