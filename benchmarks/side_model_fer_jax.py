"""Our side of the network benchmark: a checkpoint in `Predictor`'s compiled network."""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

import jax
import numpy as np
from turns import serve, timed

from fer_jax import command
from fer_jax.exporting.release import size
from fer_jax.expressions import EXPRESSIONS
from fer_jax.faces.preprocess import FACE_SIZE
from fer_jax.inference.predictor import Predictor
from fer_jax.machine.processor import usable_cores
from fer_jax.pretrained import CHECKPOINT_HELP
from fer_jax.saved_model import load_model


def main(argv: Sequence[str]) -> int:
    """Compiles the checkpoint named in `argv` and serves turns."""
    parser = command.Parser(prog="side_model_fer_jax.py", description=__doc__)
    parser.add_argument("--checkpoint", help=CHECKPOINT_HELP)
    parser.add_argument("--batch-size", type=int, required=True, help="faces per batch")
    parser.add_argument("--folder", type=Path, help="folder with faces.npy; answers.npy goes there")
    arguments: argparse.Namespace = parser.parse_args(argv)
    warnings.simplefilter("ignore")  # a missing card does not matter here

    saved = load_model(arguments.checkpoint)
    # Not by Predictor.load: its cached programs may have been compiled for more cores.
    predictor = Predictor(saved, max_batch=arguments.batch_size)
    predictor.wait()
    shape = (arguments.batch_size, FACE_SIZE, FACE_SIZE)
    faces = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    serve(
        {
            "face": timed(lambda: predictor.logits(faces[:1])),
            "batch": timed(lambda: predictor.logits(faces)),
            "answer": timed(lambda: _answer(predictor, arguments.folder)),
        },
        about=f"jax {jax.__version__}, {usable_cores()} core(s)",
        facts={
            "title": f"fer_jax, `{saved.about['config']['model']['name']}`",
            "parameters": sum(np.size(leaf) for leaf in jax.tree.leaves(saved.variables["params"])),
            "labels": EXPRESSIONS,
            "bytes": size(saved.path / "model"),
        },
    )
    return 0


def _answer(predictor: Predictor, folder: Path) -> None:
    np.save(folder / "answers.npy", predictor(np.load(folder / "faces.npy")).probabilities)


if __name__ == "__main__":
    sys.exit(command.run(main))
