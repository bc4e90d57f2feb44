"""How reliable predictions are by light, contrast, pixels, sharpness and what is in view.

    python benchmarks/measure_quality.py --data FER2013

The validation faces on which FER+'s majority agrees are made darker, flatter, smaller, more blurred and
cut off, step by step. Each table shows the agreement with people and the mean confidence by what
`fer_jax.faces.quality` measures of the damaged face. A limit belongs where predictions are right no more
often than the uncertain ones for plain faces. The first lines show how many plain faces the limits
reject.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from fer_jax import command
from fer_jax.data.datasets import evaluation_split
from fer_jax.data.degradations import blurred, compressed, noisy, shrunk
from fer_jax.data.faces import Faces
from fer_jax.data.randomness import host_generator
from fer_jax.data.votes import agreed
from fer_jax.errors import FerError
from fer_jax.evaluation.evaluation import network_logits
from fer_jax.faces.preprocess import FACE_SIZE
from fer_jax.faces.quality import QUALITIES, Measures, judge, measure
from fer_jax.models.probabilities import softmax
from fer_jax.pretrained import CHECKPOINT_HELP
from fer_jax.saved_model import calibration, load_model

# Effects of a camera and its codec in bad light: noise in grey levels, and JPEG quality.
_SENSOR_NOISE, _JPEG_QUALITY = 3.0, 50
_SHARES = (1.0, 0.5, 0.3, 0.2, 0.12, 0.08, 0.05, 0.03, 0.02, 0.01)
_SIDES = (48, 32, 24, 20, 16, 14, 12, 10, 8, 7, 6, 5, 4)
_SIGMAS = (0.0, 0.7, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 7.0)
_IN_VIEW = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2)

# By measure: the damage, its steps, and the limits of the table's rows.
_EDGES: dict[str, tuple[float, ...]] = {
    "light": (0, 2, 3, 4, 6, 8, 10, 12, 16, 20, 25, 30, 40, 60, 100, 256),
    "contrast": (0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 15, 20, 30, 128),
    "side": (0, 4.5, 5.5, 6.5, 7.5, 9, 11, 13, 15, 18, 22, 28, 40, 49),
    "sharpness": (0, 0.02, 0.03, 0.04, 0.05, 0.06, 0.08, 0.1, 0.12, 0.15, 0.2, 0.3, 1.5),
    "in_view": (0, 0.25, 0.35, 0.45, 0.55, 0.65, 0.75, 0.85, 0.95, 1.01),
}


def main(argv: Sequence[str]) -> int:
    """Runs the command with the arguments `argv` and returns its exit code."""
    options = _parser().parse_args(argv)
    faces = evaluation_split(Path(options.data), "validation")
    if faces.votes is None:
        raise FerError(f"{options.data}: has no FER+ votes; put fer2013new.csv next to fer2013.csv")
    _print_cost(faces)
    saved = load_model(options.checkpoint)
    temperature, uncertain_below = calibration(saved)
    logits_of = network_logits(saved)
    chosen = agreed(faces)
    order = host_generator(0, "quality", 0).permutation(len(chosen))[: options.faces]
    chosen = chosen.take(np.sort(order))

    def answers(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        seen = Faces(images, chosen.labels, chosen.names)
        probabilities = softmax(logits_of(seen) / temperature)
        return probabilities.argmax(axis=1) == chosen.labels, probabilities.max(axis=1)

    right, confidence = answers(chosen.images)
    doubtful = right[confidence < uncertain_below].mean()
    print(f"{len(chosen):,} faces; plain: {right.mean():.1%} right, uncertain ones {doubtful:.1%}")
    for name, damage in _DAMAGE.items():
        rows = []
        for step, strength in enumerate(_STEPS[name]):
            generator = host_generator(0, f"quality {name}", step)
            images, measured = damage(chosen.images, strength, generator)
            rows.append((np.array([getattr(each, name) for each in measured]), *answers(images)))
        values, right, confidence = (np.concatenate(column) for column in zip(*rows, strict=True))
        _print_table(name, values, right, confidence, uncertain_below=uncertain_below)
    return 0


def _dark(
    images: np.ndarray, share: float, generator: np.random.Generator
) -> tuple[np.ndarray, list[Measures]]:
    return _in_bad_light(images * share, generator, noise=share < 1)


def _flat(
    images: np.ndarray, share: float, generator: np.random.Generator
) -> tuple[np.ndarray, list[Measures]]:
    mean = images.mean(axis=(1, 2), keepdims=True)
    return _in_bad_light(mean + (images - mean) * share, generator, noise=share < 1)


def _in_bad_light(
    images: np.ndarray, generator: np.random.Generator, *, noise: bool
) -> tuple[np.ndarray, list[Measures]]:
    rounded = np.clip(np.rint(images), 0, 255).astype(np.uint8)
    if noise:
        rounded = np.stack(
            [compressed(noisy(image, generator, _SENSOR_NOISE), _JPEG_QUALITY) for image in rounded]
        )
    return rounded, [measure(image, side=FACE_SIZE) for image in rounded]


def _small(
    images: np.ndarray, side: float, _: np.random.Generator
) -> tuple[np.ndarray, list[Measures]]:
    small = np.stack([shrunk(image, int(side)) for image in images])
    return small, [measure(image, side=side) for image in small]


def _blurred(
    images: np.ndarray, sigma: float, _: np.random.Generator
) -> tuple[np.ndarray, list[Measures]]:
    soft = np.stack([blurred(image, sigma) if sigma else image for image in images])
    return soft, [measure(image, side=FACE_SIZE) for image in soft]


def _cut(
    images: np.ndarray, share: float, generator: np.random.Generator
) -> tuple[np.ndarray, list[Measures]]:
    """Faces cut off by the image's border, on any side; the last pixels are repeated."""
    seen = round(FACE_SIZE * share)
    whole = []
    for image, turn in zip(images, generator.integers(0, 4, len(images)), strict=True):
        part = np.rot90(image, turn)[:, :seen]
        padded = np.pad(part, ((0, 0), (0, FACE_SIZE - seen)), mode="edge")
        whole.append(np.ascontiguousarray(np.rot90(padded, -turn)))
    return np.stack(whole), [
        measure(image, side=FACE_SIZE, in_view=seen / FACE_SIZE) for image in whole
    ]


Damage = Callable[[np.ndarray, float, np.random.Generator], tuple[np.ndarray, list[Measures]]]
_DAMAGE: dict[str, Damage] = {
    "light": _dark,
    "contrast": _flat,
    "side": _small,
    "sharpness": _blurred,
    "in_view": _cut,
}
_STEPS = {
    "light": _SHARES,
    "contrast": _SHARES,
    "side": _SIDES,
    "sharpness": _SIGMAS,
    "in_view": _IN_VIEW,
}


def _print_table(
    name: str,
    values: np.ndarray,
    right: np.ndarray,
    confidence: np.ndarray,
    *,
    uncertain_below: float,
) -> None:
    print(f"\n{name:>14}   faces  agreement  confidence  confident: share  agreement")
    for low, high in zip(_EDGES[name], _EDGES[name][1:], strict=False):
        rows = (values >= low) & (values < high)
        if rows.sum() < 30:
            continue
        sure = rows & (confidence >= uncertain_below)
        of_sure = f"{right[sure].mean():.1%}" if sure.sum() >= 10 else "-"
        print(
            f"{low:6g} to {high:<6g}{rows.sum():6,} {right[rows].mean():10.1%} "
            f"{confidence[rows].mean():11.1%} {sure.sum() / rows.sum():17.1%} {of_sure:>10}"
        )


def _print_cost(faces: Faces) -> None:
    measured = [measure(image, side=FACE_SIZE) for image in faces.images]
    for name in ("light", "contrast", "sharpness"):
        values = np.array([getattr(each, name) for each in measured])
        levels = ", ".join(
            f"{share:.1%} below {np.quantile(values, share):.3g}"
            for share in (0.001, 0.002, 0.005, 0.01, 0.05)
        )
        print(f"plain faces by {name}: {levels}")
    judged = [judge(each) for each in measured]
    counts = ", ".join(f"{judged.count(quality):,} {quality}" for quality in QUALITIES)
    print(f"with the limits in force: {counts}; {1 - judged.count('ok') / len(judged):.2%} lost\n")


def _parser() -> argparse.ArgumentParser:
    parser = command.Parser(prog="measure_quality.py", description=__doc__)
    parser.add_argument("--data", required=True, help="FER2013 with FER+ votes")
    parser.add_argument("--checkpoint", help=CHECKPOINT_HELP)
    parser.add_argument("--faces", type=int, default=1000, help="faces to damage; %(default)s")
    return parser


if __name__ == "__main__":
    sys.exit(command.run(main))
