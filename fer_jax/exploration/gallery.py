"""Draws what the explore command found: bars, boxes and sheets of faces.

Every function returns its own Matplotlib `Figure` (no pyplot, no global state); `png` turns it
into bytes. Charts are narrow with large letters, so that a phone shows them without zooming.
"""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from fer_jax.expressions import COLOURS, EXPRESSIONS

_DPI = 160
_CHART_INCHES = (5.4, 4.4)
_SPLIT_OPACITY = (1.0, 0.55, 0.25)


@dataclasses.dataclass(frozen=True)
class Theme:
    """Colours of a chart: background, text, and lines that only guide the eye."""

    paper: str
    ink: str
    guide: str


LIGHT = Theme(paper="#ffffff", ink="#22262b", guide="#d5d9de")
DARK = Theme(paper="#1b1f24", ink="#e4e7eb", guide="#3c434b")


def counts_chart(counts: Mapping[str, Mapping[str, int]], theme: Theme = LIGHT) -> Figure:
    """Returns bars of faces by expression, one bar for each split.

    Args:
        counts: faces by split, then by expression.
        theme: colours.
    """
    figure, axes = _chart(theme)
    thickness = 0.8 / len(counts)
    highest = max(max(by_class.values()) for by_class in counts.values())
    for row, by_class in enumerate(counts.values()):
        centres = np.arange(len(EXPRESSIONS)) + (row - (len(counts) - 1) / 2) * thickness
        for centre, name in zip(centres, EXPRESSIONS, strict=True):
            axes.barh(
                centre,
                by_class[name],
                height=thickness * 0.9,
                color=COLOURS[name],
                alpha=_SPLIT_OPACITY[row % len(_SPLIT_OPACITY)],
            )
            axes.text(
                by_class[name] + highest * 0.012,
                centre,
                f"{by_class[name]:,}",
                va="center",
                fontsize=10 if len(counts) < 3 else 7.5,
                color=theme.ink,
            )
    _label_expressions(axes, theme)
    axes.set_xlim(0, highest * 1.16)
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.set_xlabel("faces", color=theme.ink)
    shades = [
        Patch(color=theme.ink, alpha=_SPLIT_OPACITY[row % len(_SPLIT_OPACITY)], label=split)
        for row, split in enumerate(counts)
    ]
    figure.legend(
        handles=shades,
        loc="outside upper right",
        ncols=len(shades),
        frameon=False,
        labelcolor=theme.ink,
    )
    return figure


def spread_chart(
    values: np.ndarray, labels: np.ndarray, *, quantity: str, theme: Theme = LIGHT
) -> Figure:
    """Returns one box for each expression: quartiles, median, whiskers from 1 % to 99 %.

    Args:
        values: float [N], one for each face, grey levels.
        labels: int [N], class indices.
        quantity: what the values are, written below the axis.
        theme: colours.
    """
    figure, axes = _chart(theme)
    for row, name in enumerate(EXPRESSIONS):
        of_class = values[labels == row]
        if not len(of_class):
            continue
        axes.boxplot(
            [of_class],
            positions=[row],
            orientation="horizontal",
            whis=(1, 99),
            widths=0.62,
            showfliers=False,
            patch_artist=True,
            boxprops={"facecolor": COLOURS[name], "edgecolor": theme.ink, "alpha": 0.85},
            medianprops={"color": theme.ink, "linewidth": 2},
            whiskerprops={"color": theme.ink},
            capprops={"color": theme.ink},
        )
    _label_expressions(axes, theme)
    axes.set_xlabel(quantity, color=theme.ink)
    return figure


def face_sheet(
    rows: Mapping[str, Sequence[np.ndarray]], *, title: str, theme: Theme = LIGHT
) -> Figure:
    """Returns rows of faces, each row under its caption.

    Args:
        rows: uint8 or float images [48, 48] by caption, grey levels 0 to 255.
        title: written above.
        theme: colours.
    """
    columns = max((len(faces) for faces in rows.values()), default=1)
    figure = Figure(
        figsize=(max(0.62 * columns, 4.5) + 0.3, 0.95 * max(len(rows), 1) + 0.5),
        dpi=_DPI,
        facecolor=theme.paper,
        layout="constrained",
    )
    figure.suptitle(title, color=theme.ink, fontsize=12, x=0.01, ha="left")
    grid = figure.subplots(max(len(rows), 1), 1, squeeze=False)[:, 0]
    for axes in grid:
        axes.set_axis_off()
    for axes, (caption, faces) in zip(grid, rows.items(), strict=False):
        axes.set_title(caption, loc="left", fontsize=9, color=theme.ink, pad=3)
        if faces:
            axes.imshow(_row_of_faces(faces, columns, theme))
            axes.set_anchor("W")
    return figure


def portraits(faces: Mapping[str, np.ndarray], *, title: str, theme: Theme = LIGHT) -> Figure:
    """Returns two faces side by side, each under its caption.

    Args:
        faces: uint8 or float images [48, 48] by caption, grey levels 0 to 255.
        title: written above.
        theme: colours.
    """
    figure = Figure(
        figsize=(1.05 * len(faces), 1.7), dpi=_DPI, facecolor=theme.paper, layout="constrained"
    )
    figure.suptitle(title, color=theme.ink, fontsize=12, x=0.01, ha="left")
    grid = figure.subplots(1, len(faces), squeeze=False)[0]
    for axes, (caption, face) in zip(grid, faces.items(), strict=True):
        axes.set_axis_off()
        axes.set_title(caption, loc="left", fontsize=9, color=theme.ink, pad=3)
        axes.imshow(face, cmap="gray", vmin=0, vmax=255, interpolation="bicubic")
    return figure


def png(figure: Figure) -> bytes:
    """Returns a figure as a PNG file's bytes."""
    FigureCanvasAgg(figure)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", facecolor=figure.get_facecolor())
    return buffer.getvalue()


def _row_of_faces(faces: Sequence[np.ndarray], columns: int, theme: Theme) -> np.ndarray:
    """Returns uint8 [50, columns * 52, 3]: framed faces side by side on the theme's paper."""
    side, frame, gap = faces[0].shape[0], 1, 2
    paper, guide = (
        np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)], np.uint8)
        for colour in (theme.paper, theme.guide)
    )
    framed, step = side + 2 * frame, side + 2 * frame + gap
    row = np.tile(paper, (framed, columns * step, 1))
    for column, face in enumerate(faces):
        left = column * step
        row[:, left : left + framed] = guide
        row[frame:-frame, left + frame : left + frame + side] = np.rint(face)[..., None]
    return row


def _chart(theme: Theme) -> tuple[Figure, Axes]:
    figure = Figure(_CHART_INCHES, dpi=_DPI, facecolor=theme.paper, layout="constrained")
    axes = figure.add_subplot()
    axes.set_facecolor(theme.paper)
    axes.grid(axis="x", color=theme.guide, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors=theme.ink, length=0, labelsize=10)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(theme.guide)
    return figure, axes


def _label_expressions(axes: Axes, theme: Theme) -> None:
    axes.set_yticks(range(len(EXPRESSIONS)), EXPRESSIONS, fontsize=11, color=theme.ink)
    axes.set_ylim(len(EXPRESSIONS) - 0.5, -0.5)
