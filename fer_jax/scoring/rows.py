"""One line of a scored file: a face, an input without faces, or an unreadable input.

The columns and their types are the same in every output format. Paths are written as text that
`path_from_text` turns back into the very same file name.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from fer_jax.expressions import EXPRESSIONS
from fer_jax.faces.quality import Quality

Status = Literal["ok", "no_face", "unreadable"]
RowStatus = Literal["ok", "no_face", "unreadable", "note"]
Value = str | int | float | bool | None

_SMOOTHED = tuple(f"smooth_{name}" for name in EXPRESSIONS)

COLUMNS: Mapping[str, type] = {
    "path": str,
    "frame": int,
    "time_s": float,
    "face": int,
    "track": int,
    "x": float,
    "y": float,
    "width": float,
    "height": float,
    "detection_score": float,
    "expression": str,
    "confidence": float,
    "uncertain": bool,
    "quality": str,
    **dict.fromkeys(EXPRESSIONS, float),
    "status": str,
    "error": str,
    **dict.fromkeys(_SMOOTHED, float),
    "smooth_expression": str,
}


class Row(NamedTuple):
    """One line of an output; values that do not apply are None.

    Attributes:
        path: the input, as `path_text` writes it.
        status: "ok" for a face; "no_face" and "unreadable" for an input, once, without a face. A
            truncated video has the faces found until then, and then an "unreadable" row. A video with
            frames that cannot be decoded has a "note" after its other rows.
        frame: number of the video's frame, from 0.
        time_s: the frame's time stamp in seconds.
        face: number of the face in its image or frame, from 1, left to right.
        track: number of the face's track in its video, from 1; images have none.
        box: x, y, width, height in the image's pixels; it may reach over the border.
        detection_score: the detector's confidence, 0 to 1.
        expression: the most probable of `EXPRESSIONS`.
        confidence: its probability.
        uncertain: confidence too low, or the quality is not "ok".
        quality: of `fer_jax.faces.quality`: "ok", or why the face cannot be read.
        probabilities: of every expression, in the order of `EXPRESSIONS`.
        error: why it cannot be read, or what was lost.
        smoothed: probabilities over the track's recent frames; images have none.
        smooth_expression: the most probable of those.
    """

    path: str
    status: RowStatus
    frame: int | None = None
    time_s: float | None = None
    face: int | None = None
    track: int | None = None
    box: tuple[float, float, float, float] | None = None
    detection_score: float | None = None
    expression: str | None = None
    confidence: float | None = None
    uncertain: bool | None = None
    quality: Quality | None = None
    probabilities: tuple[float, ...] | None = None
    error: str | None = None
    smoothed: tuple[float, ...] | None = None
    smooth_expression: str | None = None

    def values(self) -> list[Value]:
        """Returns the row's values in the order of `COLUMNS`."""
        return [
            *(self.path, self.frame, self.time_s, self.face, self.track),
            *(self.box or _NO_BOX),
            *(self.detection_score, self.expression, self.confidence, self.uncertain, self.quality),
            *(self.probabilities or _NO_PROBABILITIES),
            *(self.status, self.error),
            *(self.smoothed or _NO_PROBABILITIES),
            self.smooth_expression,
        ]


_NO_BOX = (None,) * 4
_NO_PROBABILITIES = (None,) * len(EXPRESSIONS)
_AT = {name: index for index, name in enumerate(COLUMNS)}


def row_of(values: Sequence[Any]) -> Row:
    """Returns the row with these `values()`."""
    return Row(
        path=values[0],
        frame=values[1],
        time_s=values[2],
        face=values[3],
        track=values[4],
        box=_tuple(values, "x", 4),
        detection_score=values[_AT["detection_score"]],
        expression=values[_AT["expression"]],
        confidence=values[_AT["confidence"]],
        uncertain=values[_AT["uncertain"]],
        quality=values[_AT["quality"]],
        probabilities=_tuple(values, EXPRESSIONS[0], len(EXPRESSIONS)),
        status=values[_AT["status"]],
        error=values[_AT["error"]],
        smoothed=_tuple(values, _SMOOTHED[0], len(EXPRESSIONS)),
        smooth_expression=values[_AT["smooth_expression"]],
    )


def _tuple(values: Sequence[Any], first: str, count: int) -> Any:
    start = _AT[first]
    return None if values[start] is None else tuple(values[start : start + count])


# Control characters and Unicode line separators, which break a line or cannot be displayed.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_ESCAPED = re.compile(rb"\\(?:\\|x([0-9a-f]{2}))")


def path_text(path: Path | str) -> str:
    r"""Returns a path, or a URI, as one line of valid UTF-8.

    A control character, a line separator and every byte that is not UTF-8 become `\xNN`, byte by
    byte, and a backslash is doubled. Other names, including spaces and non-ASCII, stay unchanged.
    """
    text = str(path)
    if text.isprintable() and "\\" not in text:
        return text
    text = os.fsencode(path).replace(b"\\", rb"\\").decode("utf-8", "backslashreplace")
    return _CONTROL.sub(lambda found: "".join(f"\\x{b:02x}" for b in found[0].encode()), text)


def path_from_text(text: str) -> Path:
    """Returns the path that `path_text` wrote."""
    name = _ESCAPED.sub(
        lambda found: bytes.fromhex(found[1].decode()) if found[1] else b"\\", text.encode()
    )
    return Path(os.fsdecode(name))
