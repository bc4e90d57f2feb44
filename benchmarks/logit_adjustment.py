"""What subtracting a share of the log frequencies from a network's logits does to rare expressions.

    python benchmarks/logit_adjustment.py --checkpoint runs/taught --data FER2013

For all expressions, for those below 0.3 of the training faces, and for those below a seventh: agreement
with the majority of FER+'s votes on the validation faces, single crop and flip-averaged, unweighted
recall, and the recall of disgust and fear. `loss.logit_adjustment` trains a network with a share.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fer_jax import command
from fer_jax.config import DataConfig
from fer_jax.data.datasets import open_dataset
from fer_jax.evaluation import metrics
from fer_jax.evaluation.evaluation import saved_logits
from fer_jax.expressions import NUM_EXPRESSIONS
from fer_jax.machine.files import write_json
from fer_jax.models.probabilities import softmax
from fer_jax.pretrained import CHECKPOINT_HELP
from fer_jax.saved_model import load_model
from fer_jax.training.finishing import frequency_shift

_SHARES = (0, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5, 0.6, 0.8, 1)
_BOUNDS = (1, 0.3, 1 / NUM_EXPRESSIONS)


def main(argv: Sequence[str]) -> int:
    """Runs the command with the arguments `argv` and returns its exit code."""
    parser = command.Parser(prog="logit_adjustment.py", description=__doc__)
    parser.add_argument("--checkpoint", help=CHECKPOINT_HELP)
    parser.add_argument("--data", required=True, metavar="DIR", help="FER2013 with FER+'s votes")
    parser.add_argument("--json", type=Path, help="file to write the figures to")
    options = parser.parse_args(argv)
    saved = load_model(options.checkpoint)
    splits = open_dataset(DataConfig(dir=options.data, labels="votes"), seed=0).splits
    plain, mirrored = saved_logits(saved, splits["validation"])
    rows = []
    for below in _BOUNDS:
        for share in _SHARES:
            shift = frequency_shift(splits["train"].labels, share=share, below=below)
            found = _figures(plain + shift, mirrored + shift, splits["validation"].labels)
            rows.append({"below": round(below, 4), "share": share, **found})
            print(
                f"below {below:.3f} share {share:<4g} "
                + "  ".join(f"{name} {100 * value:.1f} %" for name, value in found.items()),
                flush=True,
            )
    if options.json:
        again = "python benchmarks/logit_adjustment.py --checkpoint RUN --data FER2013 --json FILE"
        write_json(options.json, {"command": again, "digest": saved.digest, "rows": rows})
    return 0


def _figures(plain: np.ndarray, mirrored: np.ndarray, labels: metrics.Labels) -> dict[str, Any]:
    single = metrics.report(softmax(plain), labels)
    both = metrics.report((softmax(plain) + softmax(mirrored)) / 2, labels)
    return {
        "accuracy": single["accuracy"],
        "flip_accuracy": both["accuracy"],
        "uar": single["uar"],
        **{name: single["per_class"][name]["recall"] for name in ("disgust", "fear")},
    }


if __name__ == "__main__":
    sys.exit(command.run(main))
