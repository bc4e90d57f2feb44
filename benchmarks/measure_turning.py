"""What `score --rotate auto` finds in photographs turned on their sides, and its cost.

    python benchmarks/measure_turning.py FOLDER...

Each upright image, and every 24th frame of each video, is searched unchanged and after each turn, with
and without `faces.turning`. Then its sixteen parts are searched, most of which hold no face: any turn
there is wrong. Times are processor seconds per image, on one core.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence

import cv2
import numpy as np

from fer_jax import command
from fer_jax.faces.detect import Detection, Detector, YuNetDetector
from fer_jax.faces.turning import TurningDetector
from fer_jax.media.images import read_image
from fer_jax.media.inputs import expand_inputs
from fer_jax.media.kinds import media_kind
from fer_jax.media.video import VideoReader

_EVERY = 24
_PARTS = 4  # to a side
_LAID = (None, cv2.ROTATE_90_COUNTERCLOCKWISE, cv2.ROTATE_180, cv2.ROTATE_90_CLOCKWISE)


def images(names: Sequence[str]) -> Iterator[np.ndarray]:
    """Yields uint8 [H, W, 3] RGB images and frames."""
    for path in expand_inputs(names):
        if media_kind(path) == "video":
            with VideoReader(path, every=_EVERY) as video:
                yield from (frame.image for frame in video)
        else:
            yield read_image(path)


def parts(image: np.ndarray) -> Iterator[np.ndarray]:
    """Yields the parts of an image, each at the image's size."""
    height, width = image.shape[0] // _PARTS, image.shape[1] // _PARTS
    for n in range(_PARTS**2):
        y, x = n // _PARTS * height, n % _PARTS * width
        part = np.ascontiguousarray(image[y : y + height, x : x + width])
        yield cv2.resize(part, image.shape[1::-1])


class Timed:
    """A detector that adds up its processor time."""

    def __init__(self, detector: Detector) -> None:
        """Starts at 0 seconds."""
        self._detector, self.seconds = detector, 0.0

    def detect(self, image: np.ndarray) -> list[Detection]:
        """Returns the detector's faces of uint8 [H, W, 3] RGB."""
        start = time.process_time()
        found = self._detector.detect(image)
        self.seconds += time.process_time() - start
        return found


def main(argv: Sequence[str]) -> int:
    """Prints a line for each turn and one for the parts; returns the exit code."""
    cv2.setNumThreads(1)
    seen = list(images(_parser().parse_args(argv).inputs))
    yunet = YuNetDetector()
    for turns, code in enumerate(_LAID):
        plain, turning = Timed(yunet), Timed(TurningDetector(yunet))
        faces = found = right = 0
        for image in seen:
            laid = image if code is None else cv2.rotate(image, code)
            faces += len(plain.detect(laid))
            answer = turning.detect(laid)
            found += len(answer)
            right += bool(answer) and answer[0].turns == turns
        print(
            f"{90 * turns:3} degrees: {faces} faces without, {found} with; "
            f"{right} of {len(seen)} images turned right; "
            f"{plain.seconds / len(seen):.4f} s, {turning.seconds / len(seen):.4f} s"
        )
    plain, turning = Timed(yunet), Timed(TurningDetector(yunet))
    count = wrong = 0
    for image in seen:
        for part in parts(image):
            plain.detect(part)
            wrong += any(face.turns for face in turning.detect(part))
            count += 1
    print(
        f"parts: {wrong} of {count} turned wrongly; "
        f"{plain.seconds / count:.4f} s, {turning.seconds / count:.4f} s"
    )
    return 0


def _parser() -> command.Parser:
    parser = command.Parser(prog="measure_turning.py", description=__doc__)
    parser.add_argument("inputs", nargs="+", metavar="FOLDER", help="of images and videos")
    return parser


if __name__ == "__main__":
    sys.exit(command.run(main))
