"""Shares of a video: what a worker finds in one, kept as a table, and how they become one video's rows.

Tracking costs little compared with decoding and detection, so it is not done in shares: the views of all
shares pass the same accountant as those of a video that was never split. Tracks do not end at a seam.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from fer_jax.cluster.parts import Parts
from fer_jax.faces.detect import Detection
from fer_jax.media.video import VideoFrame
from fer_jax.scoring.accounting import Accountant
from fer_jax.scoring.rows import Row
from fer_jax.scoring.views import ScoredFace, View

_NO_PIXELS = np.empty((0, 0, 3), np.uint8)
_SIDE = 48


def share_table(views: Iterable[View]) -> Any:
    """Returns the faces, errors and notes of a share's views as a table; the last row is its end."""
    import pyarrow as pa

    schema = pa.schema(
        {
            "frame": pa.int64(),
            "time_s": pa.float64(),
            "box": pa.list_(pa.float64()),
            "score": pa.float64(),
            "crop": pa.binary(),
            "probabilities": pa.list_(pa.float32()),
            "confidence": pa.float64(),
            "uncertain": pa.bool_(),
            "quality": pa.string(),
            "error": pa.string(),
            "note": pa.string(),
        }
    )
    return pa.Table.from_pylist([row for view in views for row in _rows(view)], schema=schema)


def _rows(view: View) -> Iterator[dict[str, Any]]:
    if view.frame is None:
        yield {"error": view.error, "note": view.note}
        return
    at = {"frame": view.frame.index, "time_s": view.frame.time_s}
    if view.error is not None:
        yield {**at, "error": view.error}
    for face in view.faces:
        found = face.detection
        yield {
            **at,
            "box": [found.x, found.y, found.width, found.height],
            "score": found.score,
            "crop": face.crop.tobytes(),
            "probabilities": face.probabilities.tolist(),
            "confidence": face.confidence,
            "uncertain": face.uncertain,
            "quality": face.quality,
        }


def stitched(parts: Parts, run: str, number: int, name: str, shares: int) -> Iterator[Row]:
    """Yields the rows of a video from its shares, in order.

    Args:
        parts: where the shares lie.
        run: that wrote them.
        number: of the part.
        name: of the video in its rows.
        shares: how many there are.
    """
    accountant, path = Accountant(), Path(name)
    errors, notes = list[str](), list[str]()
    for share in range(shares):
        for index, rows in groupby(parts.share(run, number, share), key=lambda row: row["frame"]):
            if index is not None:
                yield from accountant.rows(_view(path, name, list(rows)))
                continue
            for end in rows:
                errors += [end["error"]] if end["error"] else []
                notes += [end["note"]] if end["note"] else []
    error, note = "; ".join(dict.fromkeys(errors)) or None, "; ".join(notes) or None
    if error is not None and note is not None:
        error, note = f"{error}; {note}", None
    yield from accountant.rows(View(path, name=name, video=True, error=error, note=note))


def _view(path: Path, name: str, rows: list[dict[str, Any]]) -> View:
    frame = VideoFrame(rows[0]["frame"], rows[0]["time_s"], _NO_PIXELS)
    faces = [
        ScoredFace(
            Detection(*row["box"], score=row["score"]),
            np.frombuffer(row["crop"], np.uint8).reshape(_SIDE, _SIDE),
            probabilities=np.array(row["probabilities"], np.float32),
            confidence=row["confidence"],
            quality=row["quality"],
            uncertain=row["uncertain"],
        )
        for row in rows
        if row["crop"] is not None
    ]
    errors = [row["error"] for row in rows if row["error"]]
    return View(
        path,
        name=name,
        video=True,
        frame=frame,
        ends_input=False,
        faces=faces,
        error=errors[0] if errors else None,
    )
