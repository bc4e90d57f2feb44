"""The other side of two benchmarks, of scoring and of live videos: the package `fer`, Haar and TFLite.

Runs in an environment of its own and imports nothing of fer_jax. It does what its documentation shows:
reads each image, or each frame, with OpenCV and asks for the emotions in it.
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
    """Sets the package up and serves turns of scoring a list of images, or frames of a video."""
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
    """Yields a video's frames, again and again."""
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
