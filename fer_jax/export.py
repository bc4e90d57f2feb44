"""Writes a network as one file that runs without Flax, or as the release inside the package.

`fer-jax export release` has its own options; `fer-jax export release --help` lists them.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fer_jax import command
from fer_jax.errors import FerError
from fer_jax.machine.files import write_bytes
from fer_jax.machine.json_files import read_json
from fer_jax.machine.outputs import try_file, try_folder
from fer_jax.machine.terminal import printable
from fer_jax.pretrained import NAMES, PRETRAINED

if TYPE_CHECKING:
    from fer_jax.saved_model import SavedModel

# Functions import what imports JAX, for no mistake in a flag should wait for it.

_CHECKED_FACES = 5


def main(argv: Sequence[str]) -> int:
    """Runs the command with the arguments `argv` and returns its exit code."""
    if argv and argv[0] == "release":
        return _release(_release_parser().parse_args(argv[1:]))
    return _portable(_portable_parser().parse_args(argv))


def _release(options: argparse.Namespace) -> int:
    with command.ends_at_once():
        from fer_jax.exporting.release import release, size
        from fer_jax.saved_model import CARD

    out = options.out or PRETRAINED / options.name
    try_folder(out.absolute().parent, flag="--out")
    out = release(Path(options.workdir), out=out)
    card = read_json(out / CARD)
    validation = card["validation"]
    command.speaker(quiet=options.quiet)(
        f"{printable(out)}: {card['model']}, {card['parameters']:,} parameters, "
        f"{size(out) / 1e6:.1f} MB, sha256 {card['digest'][:12]}...\n"
        f"trained on {card['dataset']['name']}, step {card['step']:,}; "
        f"validation accuracy {validation['accuracy']:.2%}, UAR {validation['uar']:.2%}; "
        f"temperature {card['temperature']:.2f}, uncertain below {card['uncertain_below']:.2f}"
    )
    return 0


def _portable(options: argparse.Namespace) -> int:
    with command.ends_at_once():
        from fer_jax.exporting.portable import onnx_model, stablehlo
        from fer_jax.saved_model import load_model

    out = Path(options.out)
    try_folder(out.parent, flag="--out")
    try_file(out, flag="--out")
    saved = load_model(options.checkpoint)
    content = stablehlo(saved) if options.format == "stablehlo" else onnx_model(saved)
    checked = "" if options.format == "stablehlo" else f"\n{_checked_onnx(content, saved)}"
    write_bytes(out, content)
    made = f"{options.format}, {len(content) / 1e6:.1f} MB, of {printable(saved.path)}"
    command.speaker(quiet=options.quiet)(f"{printable(out)}: {made}{checked}")
    return 0


def _checked_onnx(content: bytes, saved: SavedModel) -> str:
    """Runs a model on a few faces before it may replace an older file, and reports the result."""
    from fer_jax.exporting.portable import TOLERANCE, onnx_difference
    from fer_jax.inference.network import FACE

    shape = (_CHECKED_FACES, *FACE.shape)
    faces = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    difference = onnx_difference(content, saved, faces)
    if not difference <= TOLERANCE:  # nan as well
        raise FerError(
            f"{saved.path}: ONNX Runtime's probabilities are off by {difference:.1g}, more than "
            f"{TOLERANCE:g}, so nothing was written; export with --format stablehlo"
        )
    return f"checked: ONNX Runtime's probabilities differ by at most {difference:.1g}"


def _release_parser() -> command.Parser:
    parser = command.Parser(
        "export release",
        example="fer-jax export release --checkpoint runs/crowd --name crowd",
        description="Writes the checkpoint that ships inside the package.",
    )
    parser.add_argument(
        "--checkpoint",
        "--workdir",
        dest="workdir",
        required=True,
        help="of a run of fer_jax.train that has ended",
    )
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--name", choices=NAMES, help="the shipped network it replaces")
    where.add_argument("--out", type=Path, help="another folder to make")
    return parser


def _portable_parser() -> command.Parser:
    parser = command.Parser(
        "export",
        example="fer-jax export --format onnx --out network.onnx",
        description=__doc__,
    )
    parser.add_argument("--format", required=True, choices=("stablehlo", "onnx"))
    command.add_checkpoint(parser)
    parser.add_argument("--out", required=True, help="the file to write")
    return parser


if __name__ == "__main__":
    sys.exit(command.run(main))
