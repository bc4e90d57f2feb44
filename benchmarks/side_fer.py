"""The `fer` side of the scoring and live-video benchmarks: Haar and TFLite.

Runs in a separate environment and does not import fer_jax. It follows the documentation of `fer`: reads
each image or frame with OpenCV and detects the emotions in it.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from fer.fer import FER  # pyright: ignore[reportMissingImports]
from turns import serve


def main() -> None:
    """Sets up the package and serves turns of scoring a list of images or the frames of a video."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--list", help="JSON list of the images")
    parser.add_argument("--found", help="JSON file for the number of faces in each")
    parser.add_argument("--video", help="a video file")
    arguments = parser.parse_args()
    detector = FER()

    def score(count: int) -> None:
        paths, found = json.loads(Path(arguments.list).read_text()), []
        for _ in range(count):
            found = [_faces(detector, path) for path in paths]
        Path(arguments.found).write_text(json.dumps(found))

    def watch(count: int) -> None:
        frames = _frames(arguments.video)
        for _ in range(count):
            detector.detect_emotions(next(frames))

    version = importlib.metadata.version("fer")
    serve({"score": score, "watch": watch}, about=f"fer {version}, Haar cascade and TFLite")


def _frames(video: str) -> Iterator[np.ndarray]:
    """Yields a video's frames in an endless loop."""
    while True:
        capture, read = cv2.VideoCapture(video), 0
        while (frame := capture.read()[1]) is not None:
            read += 1
            yield frame
        if not read:
            raise ValueError(f"{video}: no frame can be read")


def _faces(detector: FER, path: str) -> int:
    image = cv2.imread(path)
    return 0 if image is None else len(detector.detect_emotions(image))


if __name__ == "__main__":
    main()
