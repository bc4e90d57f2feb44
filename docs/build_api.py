"""Builds the API pages from the docstrings: `python docs/build_api.py FOLDER`; open index.html there."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

import pdoc.render

import fer_jax
from fer_jax import command

# The first page is `fer_jax`: what most programs need. The others are what it is built on.
PAGES = (
    "fer_jax",
    "fer_jax.data.datasets",
    "fer_jax.evaluation.metrics",
    "fer_jax.faces.crop",
    "fer_jax.faces.detect",
    "fer_jax.inference.predictor",
    "fer_jax.interface.face_list",
    "fer_jax.media.decoder",
    "fer_jax.media.images",
    "fer_jax.media.video",
    "fer_jax.models",
    "fer_jax.saved_model",
)


def main(argv: Sequence[str]) -> int:
    """Writes the pages."""
    parser = command.Parser(prog="build_api.py", description=__doc__)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args(argv).folder
    for name in fer_jax.__all__:  # pdoc documents what is imported; these are imported on demand
        setattr(fer_jax, name, getattr(fer_jax, name))
    fer_jax.Predictor.__qualname__ = "Predictor"  # the name under which users know it
    # Annotations that only type checkers resolve are shown as they are written.
    warnings.filterwarnings("ignore", "Error parsing type annotation")
    pdoc.render.configure(docformat="google", show_source=False, footer_text="fer_jax")
    pdoc.pdoc(*PAGES, output_directory=folder)
    (folder / "index.html").write_text(
        '<meta http-equiv="refresh" content="0; url=fer_jax.html">\n'
    )
    return 0


if __name__ == "__main__":
    sys.exit(command.run(main))
