"""The cost of an installation: seconds, megabytes and packages, each in its own empty environment.

    python benchmarks/install_size.py . deepface==0.0.103 py-feat==2.1.5 fer==25.10.3

A requirement is what `pip install` takes; `.` is this package. Needs a package index, and disk for one
environment at a time, or for all with --keep.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fer_jax import command
from fer_jax.errors import FerError
from fer_jax.machine.files import write_json

_TIME_LIMIT_S = 1800


def main(argv: Sequence[str]) -> int:
    """Runs the command with the arguments `argv` and returns its exit code."""
    parser = command.Parser(prog="install_size.py", description=__doc__)
    parser.add_argument("requirements", nargs="+", help="what pip installs")
    parser.add_argument(
        "--keep", type=Path, help="folder for the environments; default: a temporary one"
    )
    parser.add_argument("--json", type=Path, help="file to write the figures to, or add them to")
    options = parser.parse_args(argv)
    rows: dict[str, dict[str, Any]] = {}
    for requirement in options.requirements:
        with tempfile.TemporaryDirectory() as folder:
            name = re.sub(r"[^\w-].*", "", requirement) or "this"
            rows[requirement] = install(requirement, (options.keep or Path(folder)) / name)
        if options.json:  # at once: a later one may fail
            before = json.loads(options.json.read_text()) if options.json.exists() else {}
            write_json(options.json, {**before, **rows})
    width = max(map(len, rows))
    print(f"{'':{width}}  seconds     MB  packages")
    for name, row in rows.items():
        print(
            f"{name:{width}}  {row['seconds']:7.0f}  {row['megabytes']:5,.0f}  {row['packages']:8}"
        )
    return 0


def install(requirement: str, home: Path) -> dict[str, Any]:
    """Installs one requirement into a new environment at `home` and returns the cost.

    Returns:
        "seconds" by the clock, "megabytes" of 10^6 bytes on disk over those of the empty environment,
        and "packages" that came.

    Raises:
        FerError: pip refused it.
    """
    venv.create(home, with_pip=True)
    empty = _bytes_on_disk(home)
    python = str(home / "bin" / "python")
    start_s = time.monotonic()
    line = [python, "-m", "pip", "install", "--quiet", "--no-cache-dir", requirement]
    try:
        done = subprocess.run(
            line, capture_output=True, text=True, timeout=_TIME_LIMIT_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise FerError(f"pip install {requirement}: over {_TIME_LIMIT_S} s") from None
    seconds = time.monotonic() - start_s
    if done.returncode:
        last = (done.stderr.strip() or "nothing").splitlines()[-1]
        raise FerError(f"pip install {requirement}: {last}")
    listed = subprocess.run(
        [python, "-m", "pip", "list", "--format=json", "--disable-pip-version-check"],
        capture_output=True,
        text=True,
        check=True,
    )
    names = {package["name"] for package in json.loads(listed.stdout)} - {"pip", "setuptools"}
    size = _bytes_on_disk(home) - empty
    return {"seconds": seconds, "megabytes": size / 1e6, "packages": len(names)}


def _bytes_on_disk(folder: Path) -> int:
    """Bytes of the blocks that the files take, links not followed."""
    return sum(512 * path.lstat().st_blocks for path in folder.rglob("*") if not path.is_dir())


if __name__ == "__main__":
    sys.exit(command.run(main))
