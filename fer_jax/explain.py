"""Shows why a face got its label.

Draws each photo's faces with the areas that support the expression (Grad-CAM) and, as a check, how much
covering each area costs; explain.json holds boxes and probabilities.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fer_jax import command
from fer_jax.expressions import EXPRESSIONS
from fer_jax.faces.crop import grey_crop
from fer_jax.faces.detect import DETECT_SIZE, DETECTORS, Detection, left_to_right, make_detector
from fer_jax.faces.quality import face_quality
from fer_jax.machine.files import write_bytes, write_json
from fer_jax.machine.outputs import try_folder
from fer_jax.machine.terminal import printable

if TYPE_CHECKING:
    import numpy as np

    from fer_jax.inference.predictor import Predictor

MAX_FACES = 12  # shown of one photo, the largest
_EXAMPLE = "fer-jax explain photo.jpg --out why"


def main(argv: Sequence[str]) -> int:
    """Runs the command with the arguments `argv` and returns its exit code."""
    options = _parser().parse_args(argv)
    say = command.speaker(quiet=options.quiet)
    out = Path(options.out)
    detector = make_detector(options.detector, detect_size=options.detect_size)
    try_folder(out, flag="--out")
    with command.ends_at_once():  # JAX: no mistake in a flag waits for it
        from fer_jax.inference.predictor import Predictor
        from fer_jax.media.decoder import Decoder

    predictor = Predictor.load(options.checkpoint)
    photos = []
    with Decoder() as decoder:
        for name in options.photo:
            with decoder.opened(Path(name)) as image:
                found = _largest(detector.detect(image))
                if not found:
                    say(f"{printable(name)}: no face was found")
                    photos.append({"photo": name, "faces": []})
                    continue
                figure_path = out / _file_name(name, used={entry.get("image") for entry in photos})
                faces = _explain(predictor, image, found, options.expression, figure_path)
            photos.append({"photo": name, "image": figure_path.name, "faces": faces})
            expressions = ", ".join(face["expression"] for face in faces)
            say(f"{printable(name)}: {expressions}; see {printable(figure_path)}")
    write_json(out / "explain.json", {"labels": list(EXPRESSIONS), "photos": photos})
    return 0


def _parser() -> command.Parser:
    parser = command.Parser("explain", example=_EXAMPLE, description=__doc__)
    parser.add_argument("photo", nargs="+", metavar="PHOTO", help="an image with faces")
    parser.add_argument("--out", required=True, help="folder for the images and explain.json")
    command.add_checkpoint(parser)
    parser.add_argument(
        "--expression", choices=EXPRESSIONS, help="to explain; default: each face's own"
    )
    command.add_detector(parser, detectors=DETECTORS, detect_size=DETECT_SIZE)
    return parser


def _largest(found: Sequence[Detection]) -> list[Detection]:
    """Returns the faces that are shown, from left to right."""
    by_size = sorted(found, key=lambda face: -face.width * face.height)
    return left_to_right(by_size[:MAX_FACES])


def _file_name(photo: str, *, used: set[Any]) -> str:
    """Returns the photo's name followed by .png, numbered if two photos have the same name."""
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
    """Draws the faces of one photo and returns their entries for explain.json."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    from fer_jax.inference.explanation_figure import ExplainedFace, explained_faces, figure_of

    faces: list[ExplainedFace] = explained_faces(predictor, image, found, expression=expression)
    buffer = io.BytesIO()
    FigureCanvasAgg(figure_of(faces)).print_png(buffer)
    write_bytes(figure_path, buffer.getvalue())
    height, width = image.shape[:2]
    qualities = [face_quality(grey_crop(image, at), at, width=width, height=height) for at in found]
    return [
        {
            "box": [at.x, at.y, at.width, at.height],
            "expression": face.expression,
            "confidence": float(face.probabilities.max()),
            "uncertain": face.uncertain or quality != "ok",
            "quality": quality,
            "asked": face.asked,
            "probabilities": dict(zip(EXPRESSIONS, map(float, face.probabilities), strict=True)),
        }
        for at, face, quality in zip(found, faces, qualities, strict=True)
    ]


if __name__ == "__main__":
    sys.exit(command.run(main))
