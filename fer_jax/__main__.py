"""`fer-jax COMMAND`, the same as `python -m fer_jax COMMAND`: all commands by their names."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from fer_jax import command
from fer_jax.errors import FerError
from fer_jax.machine.completion import command_to_complete

# Named, not imported: a command loads what it needs, and the library does not import the server.
COMMANDS: Mapping[str, tuple[str, str]] = {
    "score": ("fer_jax.score", "find faces in photos and videos and say what they express"),
    "live": ("server.__main__", "watch cameras in the browser"),
    "explain": ("fer_jax.explain", "show why a face got its label"),
    "explore": ("fer_jax.explore", "show a data set of faces and audit it"),
    "train": ("fer_jax.train", "train a network"),
    "evaluate": ("fer_jax.evaluate", "measure a network on labelled faces"),
    "export": ("fer_jax.export", "write a network as StableHLO, ONNX or a release"),
}
_EXAMPLE = """\
fer-jax score photo.jpg
fer-jax live
"""


def main(argv: Sequence[str]) -> int:
    """Runs the command that `argv` names and returns its exit code."""
    name = command_to_complete(COMMANDS) or _parser().parse_args(argv[:1]).command
    module, _ = COMMANDS[name]
    with command.ends_at_once():
        imported = importlib.import_module(module)
    return imported.main(argv[1:])


def console() -> int:
    """Runs `fer-jax` with the process's arguments and returns its exit code."""
    return command.run(main)


def _parser() -> command.Parser:
    width = max(map(len, COMMANDS)) + 2
    table = "\n".join(f"  {name:<{width}}{does}" for name, (_, does) in COMMANDS.items())
    parser = command.Parser(
        "",
        example=_EXAMPLE,
        description=f"Facial expression recognition.\n\ncommands:\n{table}",
        usage="fer-jax COMMAND ...",
    )
    action = parser.add_argument(
        "command", metavar="COMMAND", type=_known, help="see COMMAND --help"
    )
    action.completer = lambda **_: tuple(COMMANDS)  # type: ignore[attr-defined]  # for argcomplete
    return parser


def _known(name: str) -> str:
    if name not in COMMANDS:
        raise FerError(f"{name!r} is not a command; expected one of {', '.join(COMMANDS)}")
    return name


def _ignore_current_folder() -> None:
    """Keeps a `server.py` of the current folder from being taken for ours.

    `python -m` looks for modules in the current folder first; `fer-jax` does not.
    """
    if not sys.flags.safe_path and Path(sys.path[0] or os.curdir).resolve() == Path.cwd():
        sys.path[0] = str(Path(__file__).resolve().parents[1])


if __name__ == "__main__":
    _ignore_current_folder()
    sys.exit(console())
