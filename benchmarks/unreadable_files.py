"""How this and other packages, each in its environment, handle files that are not complete images.

    python benchmarks/unreadable_files.py --fer-python .venv-fer/bin/python

Three files: a photograph, the first two thirds of its bytes, and text with the name of a photograph. A
package either answers, raises an exception, or reports the file and continues. Packages without an
environment are left out.
"""

from __future__ import annotations

import importlib.metadata
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
from turns import has_module

from fer_jax import command
from fer_jax.errors import FerError
from fer_jax.machine.files import write_json
from fer_jax.scoring.writers import read_rows

_HERE = Path(__file__).resolve().parent
_PHOTO = Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"
_PACKAGES = {  # name -> module, and flag for the Python that has it
    "fer": ("fer", "--fer-python"),
    "deepface": ("deepface", "--deepface-python"),
    "py-feat": ("feat", "--py-feat-python"),
}


def main(argv: Sequence[str]) -> int:
    """Runs the command with the arguments `argv` and returns its exit code."""
    parser = command.Parser(prog="unreadable_files.py", description=__doc__)
    for name, (_, flag) in _PACKAGES.items():
        parser.add_argument(flag, dest=name, help=f"Python of an environment with {name}")
    parser.add_argument("--json", help="file to write what was found to")
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        files = write_files(Path(folder))
        found = {"fer_jax": ours(files)}
        for name, (module, flag) in _PACKAGES.items():
            python = getattr(options, name)
            if python is None or not has_module(python, module):
                print(f"left out: {name}; name a Python that has it with {flag}")
            else:
                found[name] = _theirs(python, name, files)
    for name, side in found.items():
        print(f"{name} {side['version']}")
        for file, outcome in side["files"].items():
            print(f"    {file:10} {outcome['outcome']:9} {outcome['words']}")
    if options.json:
        write_json(Path(options.json), found)
    return 0


def write_files(folder: Path) -> list[Path]:
    """Writes the three files and returns them."""
    photo = _PHOTO.read_bytes()
    contents = {
        "whole.jpg": photo,
        "cut.jpg": photo[: 2 * len(photo) // 3],
        "text.jpg": b"This is no image.\n",
    }
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return [folder / name for name in contents]


def ours(files: Sequence[Path]) -> dict[str, Any]:
    """Returns the results of `fer-jax score` for the files in one run."""
    table = files[0].with_name("faces.csv")
    line = [sys.executable, "-m", "fer_jax.score", *map(str, files), "--out", str(table)]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    if done.returncode:
        raise FerError(f"fer_jax.score: {done.stderr.strip()}")
    outcomes: dict[str, dict[str, str]] = {}
    for row in read_rows(table):
        read = row.status == "ok"
        words = "1 faces" if read else f"{row.status}: {row.error}"
        outcomes[Path(row.path).name] = {
            "outcome": "answered" if read else "reported",
            "words": words,
        }
    return {
        "version": importlib.metadata.version("fer_jax"),
        "files": {file.name: outcomes[file.name] for file in files},
    }


def _theirs(python: str, name: str, files: Sequence[Path]) -> dict[str, Any]:
    line = [python, str(_HERE / "side_unreadable.py"), name, *map(str, files)]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip() or "nothing").splitlines()[-1]
        raise FerError(f"{name}: ended with exit code {done.returncode}, saying: {last}")
    return json.loads(done.stdout)


if __name__ == "__main__":
    sys.exit(command.run(main))
