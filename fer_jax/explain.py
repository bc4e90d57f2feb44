"""Shows why: `python -m fer_jax.explain PHOTO... --out DIR`.

For each photo an image of its faces, with what speaks for the expression by Grad-CAM and, as a check,
what covering each part costs; and explain.json with boxes and probabilities.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from fer_jax import command
from fer_jax.expressions import COLOURS, EXPRESSIONS
from fer_jax.faces.crop import crop_face, grey_crop
from fer_jax.faces.detect import Detection, make_detector
from fer_jax.inference.explanation import occlusion_map
from fer_jax.inference.predictor import Predictor
from fer_jax.machine.files import write_bytes, write_json
from fer_jax.machine.outputs import try_folder
from fer_jax.machine.terminal import printable
from fer_jax.media.decoder import Decoder
from fer_jax.shipped import CHECKPOINT_HELP

MAX_FACES = 12  # shown of one photo, the largest
_SIDE = 192  # pixels of a shown face


def main(argv: Sequence[str]) -> int:
    """Runs the command with the arguments `argv` and returns its exit code."""
    options = _parser().parse_args(argv)
    out = Path(options.out)
    try_folder(out, flag="--out")
    predictor = Predictor.load(options.checkpoint)
    detector = make_detector(options.detector)
    told = []
    with Decoder() as decoder:
        for name in options.photo:
            with decoder.opened(Path(name)) as image:
                found = sorted(detector.detect(image), key=lambda face: -face.width * face.height)
                if not found:
                    print(f"{printable(name)}: no face was found")
                    told.append({"photo": name, "faces": []})
                    continue
                figure_path = out / _file_name(name, used={entry.get("picture") for entry in told})
                faces = _explain(
                    predictor, image, found[:MAX_FACES], options.expression, figure_path
                )
            told.append({"photo": name, "picture": figure_path.name, "faces": faces})
            said = ", ".join(face["expression"] for face in faces)
            print(f"{printable(name)}: {said}; see {printable(figure_path)}")
    write_json(out / "explain.json", {"labels": list(EXPRESSIONS), "photos": told})
    return 0


def _parser() -> command.Parser:
    parser = command.Parser(prog="python -m fer_jax.explain", description=__doc__)
    parser.add_argument("photo", nargs="+", help="an image with faces")
    parser.add_argument("--out", required=True, help="folder for the images and explain.json")
    parser.add_argument("--checkpoint", help=CHECKPOINT_HELP)
    parser.add_argument(
        "--expression", choices=EXPRESSIONS, help="to ask about; default each face's own"
    )
    parser.add_argument("--detector", choices=("yunet", "none"), default="yunet")
    return parser


def _file_name(photo: str, *, used: set[Any]) -> str:
    """The photo's name with .png behind it; numbered when another folder had a photo of that name."""
    name = Path(photo).name
    candidates = (f"{name}{'' if n == 1 else f'-{n}'}.png" for n in range(1, len(used) + 2))
    return next(candidate for candidate in candidates if candidate not in used)


def _explain(
    predictor: Predictor,
    image: np.ndarray,
    found: Sequence[Detection],
    expression: str | None,
    figure_path: Path,
) -> list[dict[str, Any]]:
    """Draws the faces of one photo into `image` and returns what explain.json tells of them."""
    shown = [cv2.resize(crop_face(image, face, size=_SIDE), (_SIDE, _SIDE)) for face in found]
    crops = np.stack([grey_crop(image, face) for face in found])
    prediction = predictor(crops)
    explanation = predictor.explain(crops, expression=expression)
    figure = Figure(figsize=(9.6, 2.5 * len(found) + 0.3), layout="constrained")
    rows = figure.subplots(len(found), 4, squeeze=False)
    told = []
    for k, (axes, asked) in enumerate(zip(rows, explanation.expressions, strict=True)):
        covered = occlusion_map(
            lambda faces: predictor(faces).probabilities,
            crops[k],
            label=EXPRESSIONS.index(asked),
        )
        _draw_face(axes, shown[k], k, asked, grad_cam=explanation.maps[k], covered=covered)
        _draw_bars(axes[3], prediction.probabilities[k], asked)
        told.append(
            {
                "box": [found[k].x, found[k].y, found[k].width, found[k].height],
                "expression": prediction.expressions[k],
                "confidence": float(prediction.confidence[k]),
                "uncertain": bool(prediction.uncertain[k]),
                "asked": asked,
                "probabilities": dict(
                    zip(EXPRESSIONS, map(float, prediction.probabilities[k]), strict=True)
                ),
            }
        )
    buffer = io.BytesIO()
    FigureCanvasAgg(figure).print_png(buffer)
    write_bytes(figure_path, buffer.getvalue())
    return told


def _draw_face(
    axes: Sequence[Axes],
    face: np.ndarray,
    number: int,
    asked: str,
    *,
    grad_cam: np.ndarray,
    covered: np.ndarray,
) -> None:
    most = float(covered.max())
    overlays = (
        (f"#{number + 1}", None),
        (f"speaks for {asked}", grad_cam),
        (f"covered, it costs up to {most:.0%}", np.maximum(covered, 0) / max(most, 1e-6)),
    )
    for place, (title, values) in zip(axes[:3], overlays, strict=True):
        place.imshow(face if values is None else overlay(face, values), cmap="gray")
        place.set_title(title, fontsize=10)
        place.set_axis_off()


def overlay(face: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Returns a grey face with a map over it as warm colours, uint8 [H, W, 3].

    Args:
        face: uint8 [H, W] or [H, W, 3].
        values: float [h, w] from 0, which leaves the face as it is, to 1.
    """
    height, width = face.shape[:2]
    grey = face.mean(axis=2) if face.ndim == 3 else face
    large = np.clip(cv2.resize(values, (width, height), interpolation=cv2.INTER_LINEAR), 0, 1)
    heat = 255 * matplotlib.colormaps["inferno"](large)[..., :3]
    share = 0.75 * large[..., None]
    return np.rint((1 - share) * grey[..., None] + share * heat).astype(np.uint8)


def _draw_bars(axes: Axes, probabilities: np.ndarray, asked: str) -> None:
    places = range(len(EXPRESSIONS))
    axes.barh(places, probabilities, color=[COLOURS[name] for name in EXPRESSIONS], height=0.7)
    axes.set_yticks(places, EXPRESSIONS, fontsize=9)
    axes.get_yticklabels()[EXPRESSIONS.index(asked)].set_fontweight("bold")
    axes.invert_yaxis()
    axes.set_xlim(0, 1)
    axes.set_xticks([0, 0.5, 1], ["0", "50 %", "100 %"], fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)


if __name__ == "__main__":
    sys.exit(command.run(main))
