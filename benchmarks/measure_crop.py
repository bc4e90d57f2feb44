"""python benchmarks/measure_crop.py --data FER2013 --out DIR: where a face lies in a FER2013 image.

Runs the detector on training faces and writes crop.json, with the constants of `faces.crop`, and
crops.png, crops from photographs below training faces. --photos also measures how much a crop moves when
the same photograph is slightly enlarged, reduced or shifted.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from crop_wander import ALIGNS, wander
from matplotlib import cbook

from fer_jax import command
from fer_jax.data.datasets import evaluation_split
from fer_jax.data.faces import Faces
from fer_jax.data.randomness import host_generator
from fer_jax.errors import FerError
from fer_jax.exploration import gallery
from fer_jax.expressions import EXPRESSIONS
from fer_jax.faces import crop
from fer_jax.faces.detect import Detector, make_detector
from fer_jax.machine.files import write_bytes, write_json
from fer_jax.media.images import MediaError, read_image
from fer_jax.media.inputs import expand_inputs
from fer_jax.media.kinds import media_kind

# The detector fires on 76 % of the bare 48 x 48 images, on 92 % enlarged twice and 96 % four times.
_ENLARGED = 4
# A grey border, in image sides. The image's edge confines a box, which extends over a border; in
# photographs it is between the two, so the constants are the mean of both.
_BORDERS = (0.0, 1 / 3)
_BORDER_GREY = 110

_QUANTITIES = ("eyes_x", "eyes_y", "mouth_x", "mouth_y", "eye_distance", "eyes_to_mouth")
_QUANTITIES += ("roll_degrees", "box_x", "box_y", "box_side")

_MIN_FACES = 50
_SHEET_COLUMNS = 14
_MAX_PHOTOS = 120
_SEED = 0


def main(argv: Sequence[str]) -> int:
    """Runs the command with the arguments `argv` and returns its exit code."""
    parser = command.Parser(prog="python benchmarks/measure_crop.py", description=__doc__)
    parser.add_argument("--data", required=True, help="FER2013: a folder, csv or archive")
    parser.add_argument("--out", required=True, type=Path, help="folder for crop.json, crops.png")
    parser.add_argument("--photos", help="folder of photographs with one face each")
    parser.add_argument("--count", type=int, default=3000, help="training faces to measure")
    options = parser.parse_args(argv)
    if options.count < 1:
        raise FerError(f"--count {options.count}: expected 1 or more")
    faces = evaluation_split(Path(options.data), "train")
    chosen = host_generator(_SEED, "measure_crop", 0).permutation(len(faces))[: options.count]
    faces = faces.take(chosen)
    report = measure(faces)
    photos = _photographs(options.photos)
    detector = make_detector("yunet")
    if options.photos:
        report["wander"] = wander(photos, detector)
    options.out.mkdir(parents=True, exist_ok=True)
    write_json(options.out / "crop.json", report)
    write_bytes(options.out / "crops.png", contact_sheet(faces, photos, detector))
    _print(report)
    print(f"see {options.out}/crop.json and {options.out}/crops.png")
    return 0


def measure(faces: Faces) -> dict[str, Any]:
    """Returns where detector boxes, eyes and mouths lie in faces' images, in image sides.

    Keys: `found` and `found_by_class` (shares of the faces), `median` and `spread` (half of what lies
    between 16 % and 84 %) of each quantity, the same `by_border`, and `eyes_by_class`.

    Raises:
        FerError: the detector found too few faces for a median.
    """
    # "full" searches these small images at full size.
    detector = make_detector("yunet", detect_size="full")
    passes = []
    for border in _BORDERS:
        rows = [_geometry(image, detector, border=border) for image in faces.images]
        passes.append(np.array(rows))
    bare = passes[0]
    seen = np.isfinite(bare[:, 0])
    if any(np.isfinite(rows[:, 0]).sum() < _MIN_FACES for rows in passes):
        raise FerError(
            f"a face was found in {seen.sum()} of {len(faces)} images; expected {_MIN_FACES} or "
            "more: name FER2013, or raise --count"
        )
    medians = np.array([np.nanmedian(rows, axis=0) for rows in passes])
    spreads = np.array(
        [np.ptp(np.nanpercentile(rows, (16, 84), axis=0), axis=0) / 2 for rows in passes]
    )
    by_class = {name: faces.labels == k for k, name in enumerate(EXPRESSIONS)}
    present = {name: rows for name, rows in by_class.items() if np.any(rows & seen)}
    return {
        "faces": len(faces),
        "found": float(seen.mean()),
        "found_by_class": {name: float(seen[rows].mean()) for name, rows in present.items()},
        "median": _named(medians.mean(axis=0)),
        "spread": _named(spreads.mean(axis=0)),
        "by_border": {
            f"{border:.2f}": {"median": _named(median), "spread": _named(spread)}
            for border, median, spread in zip(_BORDERS, medians, spreads, strict=True)
        },
        "median_by_class": {
            name: _named(np.nanmedian(bare[rows], axis=0)) for name, rows in present.items()
        },
    }


def _named(values: np.ndarray) -> dict[str, float]:
    return {name: round(float(v), 4) for name, v in zip(_QUANTITIES, values, strict=True)}


def _geometry(image: np.ndarray, detector: Detector, *, border: float) -> list[float]:
    """`_QUANTITIES` of the most confident detection in a uint8 [48, 48] image; NaN without one."""
    side = image.shape[0] * _ENLARGED
    large = cv2.resize(image, (side, side), interpolation=cv2.INTER_CUBIC)
    edge = round(border * side)
    large = cv2.copyMakeBorder(
        large, edge, edge, edge, edge, cv2.BORDER_CONSTANT, value=(_BORDER_GREY,)
    )
    found = detector.detect(cv2.cvtColor(large, cv2.COLOR_GRAY2RGB))
    if not found:
        return [math.nan] * len(_QUANTITIES)
    face = max(found, key=lambda detection: detection.score)
    assert face.landmarks is not None  # YuNet always has them
    points = (face.landmarks - edge) / side
    eyes, mouth = points[:2].mean(axis=0), points[3:].mean(axis=0)
    across = points[1] - points[0]
    return [
        *eyes,
        *mouth,
        float(np.linalg.norm(across)),
        float(np.linalg.norm(mouth - eyes)),
        math.degrees(math.atan2(across[1], across[0])),
        (face.x + face.width / 2 - edge) / side,
        (face.y + face.height / 2 - edge) / side,
        math.sqrt(face.width * face.height) / side,
    ]


def contact_sheet(faces: Faces, photos: Sequence[np.ndarray], detector: Detector) -> bytes:
    """Returns a PNG file: training faces above crops from photographs, with their means."""
    found = [(photo, face) for photo in photos for face in detector.detect(photo)]
    rows: dict[str, list[np.ndarray]] = {"FER2013": list(faces.images)}
    for align in ALIGNS:
        cuts = [crop.grey_crop(photo, face, align=align) for photo, face in found]
        rows[f"photographs, aligned by {align}"] = cuts
    sheet: dict[str, list[np.ndarray]] = {}
    for caption, shown in rows.items():
        mean = np.mean([_evened(face) for face in shown], axis=0)
        sheet[f"{caption}; the first is the mean of {len(shown)}"] = [
            _evened(mean),
            *shown[: _SHEET_COLUMNS - 1],
        ]
        sheet[" " * len(sheet)] = shown[_SHEET_COLUMNS - 1 :][:_SHEET_COLUMNS]
    title = "FER2013 above crops from photographs"
    return gallery.png(gallery.face_sheet(sheet, title=title))


def _evened(face: np.ndarray) -> np.ndarray:
    """A face at mean 128 and standard deviation 50, so that a mean face shows shapes."""
    return np.clip((face - face.mean()) / max(float(face.std()), 1.0) * 50 + 128, 0, 255)


def _photographs(folder: str | None) -> list[np.ndarray]:
    """Up to `_MAX_PHOTOS` readable images of a folder; without one, Matplotlib's photograph."""
    paths = [cbook.get_sample_data("grace_hopper.jpg", asfileobj=False)]
    if folder is not None:
        every = [path for path in expand_inputs([folder]) if media_kind(path) == "image"]
        paths = every[:: max(1, len(every) // _MAX_PHOTOS)][:_MAX_PHOTOS]
    photos = []
    for path in paths:
        try:
            photos.append(read_image(Path(path)))
        except MediaError as error:
            print(f"left out: {error}", file=sys.stderr)
    if not photos:
        raise FerError(f"{folder}: holds no readable image; expected photographs")
    return photos


def _print(report: dict[str, Any]) -> None:
    print(f"a face is found in {report['found']:.1%} of {report['faces']:,} training faces")
    print(
        "  " + ", ".join(f"{name} {share:.1%}" for name, share in report["found_by_class"].items())
    )
    for name, value in report["median"].items():
        print(f"  {name:15s}{value:8.3f} +- {report['spread'][name]:.3f}")
    for align, spread in report.get("wander", {}).items():
        print(
            f"  by {align}: " + ", ".join(f"{name} {value:.4f}" for name, value in spread.items())
        )


if __name__ == "__main__":
    sys.exit(command.run(main))
