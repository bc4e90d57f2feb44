"""Records each time a test split was opened with a network, because only the first figure is unbiased.

The record is kept next to the weights, written before any face is read, and copied into a release's
card, so that readers of a test figure can see whether it was the first.
"""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

from fer_jax.data.faces import Faces
from fer_jax.errors import CheckpointError
from fer_jax.machine.files import append_row
from fer_jax.machine.json_files import parse_json
from fer_jax.machine.outputs import FULL_DISK
from fer_jax.machine.regular_files import read_regular
from fer_jax.saved_model import CARD, FOLDER, SavedModel, first_line

OPENINGS = "test_openings.jsonl"
_MOST_BYTES = 64 << 20


def record_opening(saved: SavedModel, faces: Faces) -> int:
    """Records that a network is about to see a test split.

    Returns:
        How often networks of the same run have seen one before.

    Raises:
        CheckpointError: the record cannot be read or written, so the split must not be opened.
    """
    before = len(read_openings(saved))
    path = _record_of(saved.path)
    try:
        append_row(
            path,
            {
                "time": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
                "digest": saved.digest,
                "step": saved.step,
                "faces": len(faces),
                "faces_digest": faces.digest(),
            },
        )
    except OSError as error:
        if error.errno in FULL_DISK:
            raise
        raise CheckpointError(
            f"{path}: cannot record that the test split is opened "
            f"({error.strerror}); copy the checkpoint to a folder you can write to"
        ) from error
    return before


def read_openings(saved: SavedModel) -> list[dict[str, Any]]:
    """Returns the record of a network's run, oldest first.

    Raises:
        CheckpointError: the record cannot be read.
    """
    path = _record_of(saved.path)
    try:
        lines = read_regular(path, most_bytes=_MOST_BYTES).splitlines() if path.exists() else []
        rows = [*(saved.card or {}).get("test_openings", []), *map(parse_json, lines)]
        return [{**row, "time": str(row["time"])} for row in rows]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(
            f"{path}: cannot be read ({first_line(error)}); it records when the test split was "
            "opened, take another copy of the run"
        ) from error


def _record_of(checkpoint: Path) -> Path:
    """The one record of a workdir: a test score for one checkpoint leaks information about the rest."""
    released = (checkpoint / CARD).exists()
    in_workdir = checkpoint.parent.name == FOLDER and not released
    return (checkpoint.parent.parent if in_workdir else checkpoint) / OPENINGS
