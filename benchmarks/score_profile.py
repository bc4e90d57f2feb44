"""Where the processor time of scoring a folder of photographs goes.

    python benchmarks/score_profile.py --dir photos

Each stage is run alone, by one thread, over all photographs, `--rounds` times in alternating order; the
median is given in milliseconds of processor time per photograph, the decoder process's included. Last
comes the whole command's in one run of the pipeline, without its start; what the stages do not explain
is threads waiting for each other, the interpreter and rows.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import psutil
from turns import alternating

from fer_jax import command
from fer_jax.errors import FerError
from fer_jax.faces.crop import grey_crop
from fer_jax.faces.detect import DETECT_SIZE, Detection, make_detector
from fer_jax.faces.quality import face_quality
from fer_jax.inference import MAX_BATCH
from fer_jax.inference.predictor import Predictor
from fer_jax.machine.files import write_json
from fer_jax.media.decoder import Decoder
from fer_jax.media.images import MAX_PIXELS, MediaError, read_image
from fer_jax.media.inputs import expand_inputs
from fer_jax.media.kinds import IMAGE_SUFFIXES
from fer_jax.pretrained import CHECKPOINT_HELP
from fer_jax.scoring.progress import ScoringProgress
from fer_jax.scoring.run import ScoringOptions, run


def main(argv: Sequence[str]) -> int:
    """Runs the command with the arguments `argv` and returns its exit code."""
    parser = command.Parser(prog="score_profile.py", description=__doc__)
    parser.add_argument("--dir", required=True, help="folder of photographs")
    parser.add_argument("--checkpoint", help=CHECKPOINT_HELP)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="file to write the figures to")
    options = parser.parse_args(argv)
    paths, images = _readable(options.dir)
    predictor = Predictor.load(options.checkpoint, max_batch=MAX_BATCH)
    predictor.wait()
    detector = make_detector("yunet")
    found = [detector.detect(image) for image in images]
    crops = [_crops(image, each) for image, each in zip(images, found, strict=True)]
    if not any(crops):
        raise FerError(f"{options.dir}: no face in its photographs")
    faces = np.stack([crop for each in crops for crop in each])
    print(f"{len(paths)} photographs, {len(faces)} faces")

    def isolated() -> None:
        for path in paths:
            with decoder.opened(path):
                pass

    def network() -> None:
        for start in range(0, len(faces), MAX_BATCH):
            predictor(faces[start : start + MAX_BATCH])

    def quality() -> None:
        for image, each, cut in zip(images, found, crops, strict=True):
            height, width = image.shape[:2]
            for crop, detection in zip(cut, each, strict=True):
                face_quality(crop, detection, width=width, height=height)

    with Decoder() as decoder, tempfile.TemporaryDirectory() as folder:
        decoder.start()

        def whole() -> None:
            settings = _settings(Path(folder))
            run(paths, predictor, detector, settings, ScoringProgress())

        stages: dict[str, Callable[[], object]] = {
            "decoding": lambda: [read_image(path) for path in paths],
            "decoding, in its process": isolated,
            "detection": lambda: [detector.detect(image) for image in images],
            "crops": lambda: [_crops(*each) for each in zip(images, found, strict=True)],
            "quality": quality,
            "network": network,
            "whole": whole,
        }
        spent: dict[str, list[float]] = {name: [] for name in stages}
        for name in alternating(stages, options.rounds):
            spent[name].append(1000 * _cpu_s(stages[name]) / len(paths))
    _print(spent)
    if options.json:
        again = (
            f"python benchmarks/score_profile.py --dir photos --rounds {options.rounds} --json FILE"
        )
        about = {"photographs": len(paths), "faces": len(faces), "digest": predictor.saved.digest}
        write_json(options.json, {"command": again, **about, "cpu_ms": spent})
    return 0


def _settings(folder: Path) -> ScoringOptions:
    return ScoringOptions(
        out=folder / "faces.csv",
        resume=False,
        detector="yunet",
        detect_size=DETECT_SIZE,
        every=1,
        fps=None,
        max_pixels=MAX_PIXELS,
        batch_size=MAX_BATCH,
    )


def _print(spent: Mapping[str, Sequence[float]]) -> None:
    median = {name: statistics.median(each) for name, each in spent.items()}
    for name, value in median.items():
        low, high = min(spent[name]), max(spent[name])
        print(f"{name:<26} {value:5.2f} ms  ({low:.2f} to {high:.2f})")
    counted = ("decoding, in its process", "detection", "crops", "quality", "network")
    print(f"{'the rest':<26} {median['whole'] - sum(median[name] for name in counted):5.2f} ms")


def _readable(folder: str) -> tuple[list[Path], list[np.ndarray]]:
    paths, images = [], []
    for each in expand_inputs([folder]):
        path = Path(each)
        if path.suffix.lower() in IMAGE_SUFFIXES:
            try:
                images.append(read_image(path))
            except MediaError:
                continue
            paths.append(path)
    if not paths:
        raise FerError(f"{folder}: no photograph that can be read")
    return paths, images


def _crops(image: np.ndarray, found: Sequence[Detection]) -> list[np.ndarray]:
    return [grey_crop(image, each) for each in found]


def _cpu_s(action: Callable[[], object]) -> float:
    """Returns the processor seconds of this process and of its children, ended ones included."""
    before = _spent_s()
    action()
    return _spent_s() - before


def _spent_s() -> float:
    own = psutil.Process()
    total = time.process_time()
    for child in own.children(recursive=True):
        times = child.cpu_times()
        total += times.user + times.system
    times = own.cpu_times()
    return total + times.children_user + times.children_system


if __name__ == "__main__":
    sys.exit(command.run(main))
