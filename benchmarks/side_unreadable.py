"""A side of unreadable_files.py: how another package reads files that are not complete images.

Runs in a separate environment and does not import fer_jax. It prints JSON: the package's version, and
for each file whether it "answered" or "raised", with its message.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

Read = Callable[[str], str]  # a file -> the package's result


def main() -> None:
    """Passes each file to the package."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("package", choices=_SIDES)
    parser.add_argument("files", nargs="+")
    arguments = parser.parse_args()
    # Libraries that print must not corrupt the output: they get standard error.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    read = _SIDES[arguments.package]()
    version = importlib.metadata.version(arguments.package)
    outcomes = {Path(file).name: outcome(read, file) for file in arguments.files}
    print(json.dumps({"version": version, "files": outcomes}), file=answers, flush=True)


def outcome(read: Read, file: str) -> dict[str, str]:
    """Returns the package's result for a file, under "outcome" and "words"."""
    try:
        return {"outcome": "answered", "words": read(file)}
    except Exception as error:  # noqa: BLE001 - which one it raises is the question
        words = str(error).replace(file, Path(file).name).strip().splitlines()
        return {"outcome": "raised", "words": f"{type(error).__name__}: {' '.join(words)[:200]}"}


def _fer() -> Read:
    import cv2
    from fer.utils import load_image  # pyright: ignore[reportMissingImports]

    # `FER.detect_emotions` begins with this step, on what its documentation passes to it.
    return lambda file: f"an image {load_image(cv2.imread(file)).shape}"


def _deepface() -> Read:
    from deepface import DeepFace  # pyright: ignore[reportMissingImports]

    # `DeepFace.analyze` begins with this step. Detectors and networks need files, which it downloads.
    return lambda file: f"{len(DeepFace.extract_faces(file, detector_backend='skip'))} images"


def _py_feat() -> Read:
    from feat.data import ImageDataset  # pyright: ignore[reportMissingImports]

    # `Detector.detect` begins with this step. The detector itself needs weights, which it downloads.
    return lambda file: f"an image {tuple(ImageDataset([file])[0]['Image'].shape)}"


_SIDES: dict[str, Callable[[], Read]] = {"fer": _fer, "deepface": _deepface, "py-feat": _py_feat}


if __name__ == "__main__":
    main()
