"""How often a network predicts the label of a photograph, end to end: detector, crop and network.

    python benchmarks/labelled_photographs.py FOLDER

FOLDER holds `images/` and `labels.csv` with the columns `file` and `label`, one labelled face in each
photograph. The largest face found is compared; a photograph without one counts as wrong.
"""

from __future__ import annotations

import csv
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fer_jax import Predictor, command
from fer_jax.errors import FerError
from fer_jax.expressions import EXPRESSIONS
from fer_jax.machine.files import write_json
from fer_jax.pretrained import CHECKPOINT_HELP


def main(argv: Sequence[str]) -> int:
    """Runs the command with the arguments `argv` and returns its exit code."""
    parser = command.Parser(prog="labelled_photographs.py", description=__doc__)
    parser.add_argument("folder", type=Path, help="with images/ and labels.csv")
    parser.add_argument("--checkpoint", help=CHECKPOINT_HELP)
    parser.add_argument("--json", type=Path, help="file to write the counts to")
    options = parser.parse_args(argv)
    predictor = Predictor.load(options.checkpoint)
    found = compared(predictor, options.folder)
    print(f"{found['photographs']} photographs, no face found in {found['without_face']}")
    for name, each in found["expressions"].items():
        print(f"{name:10}{each['right']:5} of {each['count']}")
    if options.json:
        again = "python benchmarks/labelled_photographs.py FOLDER --json FILE"
        write_json(options.json, {"command": again, "digest": predictor.saved.digest, **found})
    return 0


def compared(predictor: Predictor, folder: Path) -> dict[str, Any]:
    """Returns counts of photographs: `photographs`, `without_face`, and by label `right` and `count`.

    Raises:
        FerError: a label is none of the seven expressions, or there are none.
    """
    labels = _labels(folder / "labels.csv")
    answers = _answers(predictor, folder / "images")
    counts = Counter(labels.values())
    right = Counter(label for file, label in labels.items() if answers.get(file) == label)
    return {
        "photographs": len(labels),
        "without_face": sum(file not in answers for file in labels),
        "expressions": {
            name: {"right": right[name], "count": counts[name]}
            for name in EXPRESSIONS
            if counts[name]
        },
    }


def _labels(path: Path) -> dict[str, str]:
    with path.open(newline="") as file:
        labels = {row["file"]: row["label"] for row in csv.DictReader(file)}
    if unknown := set(labels.values()) - set(EXPRESSIONS):
        raise FerError(f"{path}: {min(unknown)!r} is none of {', '.join(EXPRESSIONS)}")
    if not labels:
        raise FerError(f"{path}: names no photographs")
    return labels


def _answers(predictor: Predictor, folder: Path) -> Mapping[str, str]:
    """The expression of each photograph's largest face, by the file's name."""
    largest: dict[str, tuple[float, str]] = {}
    for row in predictor.folder(folder):
        if row.box is not None and row.expression is not None:
            name, area = Path(row.path).name, row.box[2] * row.box[3]
            largest[name] = max(largest.get(name, (0.0, "")), (area, row.expression))
    return {name: expression for name, (_, expression) in largest.items()}


if __name__ == "__main__":
    sys.exit(command.run(main))
