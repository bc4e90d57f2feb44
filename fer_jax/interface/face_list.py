"""The faces of one photograph, as a list that shows itself in a terminal and in a notebook."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fer_jax.errors import FerError
from fer_jax.expressions import COLOURS, EXPRESSIONS
from fer_jax.inference.prediction import Face

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame  # pyright: ignore[reportMissingImports]


class FaceList(list[Face]):
    """Faces from left to right; an empty one means that none was found."""

    def __repr__(self) -> str:
        if not self:
            return "no faces"
        return "\n".join(f"#{number} {face!r}" for number, face in enumerate(self, 1))

    def _repr_html_(self) -> str:
        cards = "".join(face._repr_html_() for face in self) or "no faces"
        return f'<div style="display:flex;flex-wrap:wrap;gap:1em">{cards}</div>'

    def as_dict(self) -> list[dict[str, Any]]:
        """Returns the faces as plain values that JSON takes."""
        return [face.as_dict() for face in self]

    def to_pandas(self) -> DataFrame:
        """Returns a table with a row for each face and a column for each expression.

        Raises:
            FerError: pandas is not installed.
        """
        try:
            import pandas  # pyright: ignore[reportMissingImports]
        except ImportError as error:
            raise FerError("to_pandas() needs pandas; pip install pandas") from error
        columns = [*("x", "y", "width", "height", "detection_score")]
        columns += ["expression", "confidence", "uncertain", "quality", *EXPRESSIONS]
        rows = [
            [
                *face.box,
                face.detection_score,
                face.expression,
                face.confidence,
                face.uncertain,
                face.quality,
                *map(float, face.probabilities),
            ]
            for face in self
        ]
        return pandas.DataFrame(rows, columns=columns)

    def plot(self) -> Figure:
        """Returns a figure with each face and its probabilities."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=(6.4, max(1, 1.8 * len(self))), layout="constrained")
        if not self:
            figure.text(0.5, 0.5, "no faces", ha="center", va="center")
            return figure
        rows = figure.subplots(len(self), 2, squeeze=False, width_ratios=(1, 2))
        for number, ((image, bars), face) in enumerate(zip(rows, self, strict=True), 1):
            image.imshow(face.crop, cmap="gray", vmin=0, vmax=255)
            image.set_title(f"#{number} {face.label}", fontsize=9)
            image.set_axis_off()
            bars.barh(EXPRESSIONS, face.probabilities, color=[COLOURS[n] for n in EXPRESSIONS])
            bars.invert_yaxis()
            bars.set_xlim(0, 1)
            bars.tick_params(labelsize=8)
        return figure
