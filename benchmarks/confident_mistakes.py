"""The most confident mistakes on the validation faces, beside what ten people saw.

    python benchmarks/confident_mistakes.py --data FER2013 --out mistakes.png

Draws the faces with the network's expression and confidence above the people's votes, and counts of all
mistakes and of the most confident ones: how many people of ten saw what the network names, and which
pairs of expressions are confused most.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fer_jax import command
from fer_jax.config import DataConfig
from fer_jax.data.datasets import open_dataset
from fer_jax.data.faces import Faces
from fer_jax.data.votes import expression_votes
from fer_jax.errors import FerError
from fer_jax.evaluation.evaluation import saved_logits
from fer_jax.expressions import EXPRESSIONS, FERPLUS_COLUMNS
from fer_jax.machine.files import write_json
from fer_jax.models.probabilities import softmax
from fer_jax.pretrained import CHECKPOINT_HELP
from fer_jax.saved_model import calibration, load_model

_COLUMNS = 8  # faces in a row of the sheet
_PAIRS = 8  # named in the output
_VOTES = 3  # shown above a face: the most frequent


def main(argv: Sequence[str]) -> int:
    """Runs the command with the arguments `argv` and returns its exit code."""
    parser = command.Parser(prog="confident_mistakes.py", description=__doc__)
    parser.add_argument("--checkpoint", help=CHECKPOINT_HELP)
    parser.add_argument("--data", required=True, metavar="DIR", help="FER2013 with FER+'s votes")
    parser.add_argument("--most", type=int, default=64, help="mistakes on the sheet")
    parser.add_argument("--out", type=Path, help="PNG file for the sheet")
    parser.add_argument("--json", type=Path, help="file to write the figures to")
    options = parser.parse_args(argv)
    saved = load_model(options.checkpoint)
    faces = open_dataset(DataConfig(dir=options.data, labels="votes"), seed=0).splits["validation"]
    if faces.votes is None:
        raise FerError(f"--data {options.data}: no votes beside these faces")
    logits, _ = saved_logits(saved, faces)
    probabilities = softmax(logits / calibration(saved)[0])
    named = probabilities.argmax(axis=1)
    (wrong,) = np.nonzero(named != faces.labels)
    wrong = wrong[np.argsort(-probabilities[wrong].max(axis=1))]
    found = {
        "all": _counts(faces, named, wrong),
        "most_confident": _counts(faces, named, wrong[: options.most]),
    }
    for name, counts in found.items():
        print(name, counts)
    if options.out:
        _draw(faces, named, probabilities.max(axis=1), wrong[: options.most], options.out)
    if options.json:
        again = "python benchmarks/confident_mistakes.py --data FER2013 --json FILE"
        write_json(options.json, {"command": again, "digest": saved.digest, **found})
    return 0


def _counts(faces: Faces, named: np.ndarray, wrong: np.ndarray) -> dict[str, object]:
    """Counts some mistakes, and those whose named expression, or label, so many people of ten saw."""
    assert faces.votes is not None
    shares = expression_votes(faces.votes) / faces.votes.sum(axis=1, keepdims=True)
    agreeing = shares[wrong, named[wrong]]
    labelled = shares[wrong, faces.labels[wrong]]
    pairs = Counter(
        f"{EXPRESSIONS[label]} called {EXPRESSIONS[name]}"
        for label, name in zip(faces.labels[wrong], named[wrong], strict=True)
    )
    return {
        "count": len(wrong),
        "named_by_nobody": int((agreeing == 0).sum()),
        "named_by_a_fifth": int((agreeing >= 0.2).sum()),
        "label_by_nine_in_ten": int((labelled > 0.9).sum()),
        "pairs": dict(pairs.most_common(_PAIRS)),
    }


def _draw(
    faces: Faces, named: np.ndarray, confidence: np.ndarray, wrong: np.ndarray, path: Path
) -> None:
    import matplotlib.pyplot as plt

    assert faces.votes is not None
    rows = -(-len(wrong) // _COLUMNS)
    figure, axes = plt.subplots(rows, _COLUMNS, figsize=(2 * _COLUMNS, 2.5 * rows), squeeze=False)
    for axis in axes.flat:
        axis.axis("off")
    for axis, index in zip(axes.flat, wrong, strict=False):
        seen = faces.votes[index]
        votes = ", ".join(
            f"{FERPLUS_COLUMNS[column]} {seen[column]:.0f}"
            for column in np.argsort(-seen, kind="stable")[:_VOTES]
            if seen[column]
        )
        axis.imshow(faces.images[index], cmap="gray", vmin=0, vmax=255)
        title = f"{EXPRESSIONS[named[index]]} {100 * confidence[index]:.0f}%"
        axis.set_title(f"{title}\n{votes}", fontsize=7)
    figure.tight_layout()
    figure.savefig(path, dpi=80)
    plt.close(figure)


if __name__ == "__main__":
    sys.exit(command.run(main))
