"""Looks at a data set before anything is trained on it.

Counts, samples, mean faces, brightness, a linear baseline and an audit of blanks, copies and leaks;
as a table on the terminal, a web page of one file, images, and explore.json.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fer_jax import command
from fer_jax.data.faces import Faces
from fer_jax.data.processing import sentence, worst
from fer_jax.data.records import OnError, UnreadableFaceError
from fer_jax.exploration.statistics import Exploration, examine, examples, sample_indices
from fer_jax.expressions import EXPRESSIONS
from fer_jax.machine.files import write_bytes
from fer_jax.machine.outputs import try_folder
from fer_jax.machine.terminal import printable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Functions import what takes long to load, for no mistake in a flag should wait for it.

SYNTHETIC = "synthetic"
_EXAMPLE = "fer-jax explore --data FER2013 --out runs/explore"
_SHEET_COLUMNS = 12


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns 0, or 2 after one line about a user's mistake."""
    return command.run(_explore, argv)


def _explore(argv: Sequence[str]) -> int:
    arguments = _parser().parse_args(argv)
    command.require_training("explore")
    say = command.speaker(quiet=arguments.quiet)
    try_folder(arguments.out, flag="--out")
    source, splits, remarks = load(arguments.data, on_error=arguments.on_error)
    total = sum(len(faces) for faces in splits.values())
    say("\n".join([f"{total:,} faces: {printable(source)}", *remarks, ""]))
    found = examine(splits, source=source)
    print(summary(found))
    write(found, arguments.out)
    say(
        f"wrote {printable(arguments.out / 'explore.html')}, explore.json and the images next to it"
    )
    return 0


def _parser() -> command.Parser:
    parser = command.Parser("explore", example=_EXAMPLE, description=__doc__)
    parser.add_argument(
        "--data",
        default=SYNTHETIC,
        metavar="DIR",
        help="folder, csv or archive of faces; without it, the synthetic faces",
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("runs/explore"),
        metavar="DIR",
        help="where explore.html, explore.json and the images go (default: runs/explore)",
    )
    parser.add_argument(
        "--on-error",
        choices=("raise", "skip"),
        default="raise",
        help="if a face cannot be read: raise ends the command, skip leaves it out and counts it",
    )
    return parser


def load(
    data: str, *, on_error: OnError = "raise"
) -> tuple[str, Mapping[str, Faces], Sequence[str]]:
    """Returns where the faces come from, in words, the faces by split, and remarks, a line each.

    Raises:
        DataError: no faces there, or one that cannot be read under "raise".
    """
    with command.ends_at_once():
        from fer_jax.data.sources import load_faces
        from fer_jax.data.synthetic import load_synthetic

    if data == SYNTHETIC:
        return "synthetic, drawn from facial action units", load_synthetic().splits, ()
    try:
        loaded = load_faces(Path(data), on_error=on_error)
    except UnreadableFaceError as error:
        raise error.with_flag("--on-error skip") from None
    skipped = f" ({len(loaded.skipped):,} unreadable, left out)" if loaded.skipped else ""
    return f"{data}{skipped}", loaded.splits, loaded.remarks


def summary(found: Exploration) -> str:
    """Returns the terminal's report: a table of counts, the audit and the linear baseline."""
    splits = list(found.counts)
    rows = [["", *splits]]
    rows += [[name, *(f"{found.counts[s][name]:,}" for s in splits)] for name in EXPRESSIONS]
    rows += [["all", *(f"{len(found.splits[s]):,}" for s in splits)]]
    lines = [f"  {row[0]:<10}" + "".join(f"{cell:>12}" for cell in row[1:]) for row in rows]
    lines += ["", "audit"]
    lines += [
        f"  {kind.replace('_', ' '):<22}{count:>8,}" for kind, count in found.audit.counts().items()
    ]
    for split, count in found.left_out.items():
        if count:
            lines.append(
                f"  exclude_audited leaves out {count:,} "
                f"of {len(found.splits[split]):,} {split} faces"
            )
    lines += ["", f"processing: {sentence(found.processing)}"]
    if found.label_votes is not None:
        figures = found.label_votes.to_json()
        lines.append(
            f"labels against votes: the crowd confirms {figures['agreement']:.1%}; "
            f"{figures['label_nobody_voted_for']:.1%} have a label that none of the ten gave"
        )
    if found.linear_accuracy is not None:
        lines += [
            "",
            f"linear baseline (ridge on pixels): {found.linear_accuracy:.1%} of validation; "
            f"always the commonest expression: {found.majority:.1%}",
        ]
    return "\n".join(lines)


def report(found: Exploration) -> dict[str, object]:
    """Returns explore.json's content."""
    spread = {
        quantity: {
            name: np.percentile(values[found.main_faces.labels == label], (1, 25, 50, 75, 99))
            .round(2)
            .tolist()
            for label, name in enumerate(EXPRESSIONS)
            if found.counts[found.main][name]
        }
        for quantity, values in (("brightness", found.brightness), ("contrast", found.contrast))
    }
    return {
        "source": found.source,
        "counts": found.counts,
        "percentiles": [1, 25, 50, 75, 99],
        **spread,
        "linear_baseline": {
            "model": "ridge on pixels",
            "validation_accuracy": found.linear_accuracy,
            "majority_accuracy": found.majority,
        },
        "processing": found.processing,
        "label_votes": found.label_votes.to_json() if found.label_votes else None,
        "left_out": found.left_out,
        "audit_counts": found.audit.counts(),
        "audit": found.audit.to_json(),
    }


def write(found: Exploration, out: Path) -> None:
    """Writes explore.html, explore.json and the images; each file is complete or absent.

    Raises:
        OutputError: the folder cannot be written to, or the disk is full.
    """
    with command.ends_at_once():
        from fer_jax.exploration import gallery
        from fer_jax.exploration.page import page

    labels = found.main_faces.labels
    charts = {
        "counts": lambda theme: gallery.counts_chart(found.counts, theme),
        "brightness": lambda theme: gallery.spread_chart(
            found.brightness, labels, quantity="mean grey level of a face, 0 to 255", theme=theme
        ),
        "contrast": lambda theme: gallery.spread_chart(
            found.contrast, labels, quantity="standard deviation, grey levels", theme=theme
        ),
    }
    drawn = {
        name: (gallery.png(draw(gallery.LIGHT)), gallery.png(draw(gallery.DARK)))
        for name, draw in charts.items()
    }
    files = {f"{name}.png": light for name, (light, _) in drawn.items()}
    files |= {name: gallery.png(figure) for name, figure in _sheets(found).items()}
    files["explore.json"] = (json.dumps(report(found), indent=1) + "\n").encode()
    files["explore.html"] = page(found, drawn).encode()
    for name, content in files.items():
        write_bytes(out / name, content)


def _sheets(found: Exploration) -> dict[str, Figure]:
    from fer_jax.exploration import gallery

    faces = found.main_faces
    samples = sample_indices(faces.labels, per_class=_SHEET_COLUMNS)
    sheets = {
        "samples.png": gallery.face_sheet(
            {name: list(faces.images[rows]) for name, rows in samples.items()},
            title=f"samples of {found.main}",
        ),
        "mean_faces.png": gallery.portraits(
            dict(zip(EXPRESSIONS, found.mean_faces, strict=True)),
            title=f"mean faces of {found.main}",
        ),
    }
    if processed := _processed_rows(found):
        sheets["processing.png"] = gallery.face_sheet(processed, title="processed images")
    if found.label_votes is not None:
        sheets["label_votes.png"] = gallery.face_sheet(
            {
                f"labelled {name}, people see {found.label_votes.seen(name)}": list(
                    faces.images[indices]
                )
                for name, indices in found.label_votes.worst.items()
                if len(indices)
            },
            title="labels that people most clearly disagree with",
        )
    flaws = _flaw_rows(found)
    if flaws:
        sheets["audit.png"] = gallery.face_sheet(flaws, title="what the audit found")
    return sheets


def _processed_rows(found: Exploration) -> dict[str, list[np.ndarray]]:
    """Returns the faces that show each kind of processing most, by its name."""
    images = found.main_faces.images
    return {
        verdict: list(images[worst(images, verdict, count=_SHEET_COLUMNS)])
        for verdict in found.processing["verdicts"]
    }


def _flaw_rows(found: Exploration) -> dict[str, list[np.ndarray]]:
    """Returns some faces of every kind of flaw, copies in pairs, by a caption that counts them."""
    rows = {}
    for kind, count in found.audit.counts().items():
        groups = examples(found.audit, kind, at_most=_SHEET_COLUMNS)
        members = [member for group in groups for member in group[:2]][:_SHEET_COLUMNS]
        if members:
            rows[f"{kind.replace('_', ' ')}: {count:,}"] = [
                found.splits[member.split].images[member.index] for member in members
            ]
    return rows


if __name__ == "__main__":
    sys.exit(main())
