"""The other side of the scoring benchmark: the PyPI package `fer`, Haar cascade and TFLite.

Runs in an environment of its own and imports nothing of fer_jax. It does what its documentation shows:
reads each picture with OpenCV and asks for the emotions in it.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
from pathlib import Path

import cv2
from fer.fer import FER  # pyright: ignore[reportMissingImports]
from turns import serve


def main() -> None:
    """Sets the package up and serves turns of scoring a list of pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--list", required=True, help="JSON list of the pictures")
    parser.add_argument("--found", required=True, help="JSON file for the number of faces in each")
    arguments = parser.parse_args()
    paths = json.loads(Path(arguments.list).read_text())
    detector = FER()

    def score(count: int) -> None:
        found = []
        for _ in range(count):
            found = [_faces(detector, path) for path in paths]
        Path(arguments.found).write_text(json.dumps(found))

    version = importlib.metadata.version("fer")
    serve({"score": score}, about=f"fer {version}, Haar cascade and TFLite")


def _faces(detector: FER, path: str) -> int:
    image = cv2.imread(path)
    return 0 if image is None else len(detector.detect_emotions(image))


if __name__ == "__main__":
    main()
