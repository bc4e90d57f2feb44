"""What a set of faces looks like in numbers: counts, mean faces, brightness, a linear baseline.

`examine` gathers all of it, with the audit, into one `Exploration`, which the explore command
prints, draws and writes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from fer_jax.data.audit import TRAIN_SPLIT, Audit, Group, audit, excluded
from fer_jax.data.faces import Faces
from fer_jax.data.processing import processing
from fer_jax.exploration.label_votes import LabelVotes, compare
from fer_jax.expressions import EXPRESSIONS, NUM_EXPRESSIONS

# Of 1e-4 to 1 times the mean pixel variance, 1 did best on FER2013: 37 % of PublicTest, not 34 %.
_RIDGE = 1.0
_CHUNK = 4096  # faces turned into float32 at once: 38 MB


@dataclasses.dataclass(frozen=True)
class Exploration:
    """A data set and what was found in it.

    Attributes:
        source: where the faces came from, for a person to read.
        splits: the faces themselves, none of the splits empty.
        main: the split that images and brightness are taken from: train where there is one.
        counts: faces by split, then by expression; every expression is listed.
        mean_faces: float32 [7, 48, 48], grey levels; zeros where an expression has no face.
        brightness: float32 [N] of the main split, each face's mean grey level.
        contrast: float32 [N] of the main split, each face's standard deviation in grey levels.
        audit: the flaws.
        processing: of the main split, see `data.processing`.
        label_votes: labels against votes in the main split; None where there are none.
        left_out: how many faces of each split training leaves out under `exclude_audited`.
        linear_accuracy: accuracy of the linear baseline on validation, None without both splits.
        majority: the share of validation that its commonest training expression would get right.
    """

    source: str
    splits: Mapping[str, Faces]
    main: str
    counts: dict[str, dict[str, int]]
    mean_faces: np.ndarray
    brightness: np.ndarray
    contrast: np.ndarray
    audit: Audit
    processing: dict[str, Any]
    label_votes: LabelVotes | None
    left_out: dict[str, int]
    linear_accuracy: float | None
    majority: float | None

    @property
    def main_faces(self) -> Faces:
        """The faces of the main split."""
        return self.splits[self.main]


def examine(splits: Mapping[str, Faces], *, source: str) -> Exploration:
    """Returns everything there is to show about a data set; about 25 s for FER2013 on one core.

    Raises:
        ValueError: no split holds a face.
    """
    splits = {name: faces for name, faces in splits.items() if len(faces)}
    if not splits:
        raise ValueError("there are no faces to examine")
    main = TRAIN_SPLIT if TRAIN_SPLIT in splits else next(iter(splits))
    brightness, contrast = brightness_and_contrast(splits[main].images)
    report = audit(splits)
    both = "validation" in splits and TRAIN_SPLIT in splits
    return Exploration(
        source=source,
        splits=splits,
        main=main,
        counts={name: count_expressions(faces.labels) for name, faces in splits.items()},
        mean_faces=mean_faces(splits[main]),
        brightness=brightness,
        contrast=contrast,
        audit=report,
        processing=processing(splits[main].images, splits[main].names),
        label_votes=compare(splits[main]),
        left_out={name: len(indices) for name, indices in excluded(report, splits).items()},
        linear_accuracy=linear_accuracy(splits[main], splits["validation"]) if both else None,
        majority=majority_share(splits[main], splits["validation"]) if both else None,
    )


def count_expressions(labels: np.ndarray) -> dict[str, int]:
    """Returns how many of int [N] labels each expression has, all seven listed."""
    counts = np.bincount(labels, minlength=NUM_EXPRESSIONS)
    return dict(zip(EXPRESSIONS, counts.tolist(), strict=True))


def mean_faces(faces: Faces) -> np.ndarray:
    """Returns each expression's mean image, float32 [7, 48, 48]; zeros where it has no face."""
    means = np.zeros((NUM_EXPRESSIONS, *faces.images.shape[1:]), np.float32)
    for label in np.unique(faces.labels):
        means[label] = faces.images[faces.labels == label].mean(axis=0, dtype=np.float64)
    return means


def brightness_and_contrast(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns each face's mean and deviation, uint8 [N, 48, 48] -> float32 [N], grey levels."""
    axes = (1, 2)
    return images.mean(axis=axes, dtype=np.float32), images.std(axis=axes, dtype=np.float32)


def sample_indices(labels: np.ndarray, *, per_class: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Returns up to `per_class` indices of each expression, drawn at random from int [N] labels."""
    rng = np.random.default_rng(seed)
    return {
        name: rng.permutation(np.nonzero(labels == label)[0])[:per_class]
        for label, name in enumerate(EXPRESSIONS)
    }


def examples(report: Audit, kind: str, *, at_most: int) -> list[Group]:
    """Returns some findings of a kind, evenly spaced over its list and so over the expressions.

    Copies of blank images are skipped if there are others: one black square is enough.
    """
    groups = report.groups(kind)
    if kind != "constant":
        blank = {(flaw.split, flaw.index) for flaw in report.constant}
        groups = [g for g in groups if (g[0].split, g[0].index) not in blank] or groups
    chosen = np.linspace(0, len(groups) - 1, min(len(groups), at_most)).astype(int)
    return [groups[i] for i in chosen]


def linear_accuracy(train: Faces, validation: Faces) -> float:
    """Returns the validation accuracy of ridge regression from pixels to one-hot expressions.

    It shows how much of a data set needs no network. Faces are standardised one by one; the ridge is
    the mean pixel variance. About 5 s for FER2013 on one core.
    """
    sums = [_inputs(chunk).sum(axis=0) for chunk in _chunks(train.images)]
    mean_input = np.sum(sums, axis=0) / len(train)
    targets = np.eye(NUM_EXPRESSIONS, dtype=np.float32)[train.labels]
    prior = targets.mean(axis=0)
    if len(train) < mean_input.size:
        weights = _ridge_of_few(_inputs(train.images) - mean_input, targets - prior)
    else:
        weights = _ridge_of_many(train.images, mean_input, targets - prior)
    predicted = [
        np.argmax((_inputs(chunk) - mean_input) @ weights + prior, axis=1)
        for chunk in _chunks(validation.images)
    ]
    return float(np.mean(np.concatenate(predicted) == validation.labels))


def _ridge_of_few(inputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Returns float32 weights [P, 7] for centred inputs [N, P], from the N x N side."""
    gram = (inputs @ inputs.T).astype(np.float64)
    ridge = max(_RIDGE * np.trace(gram) / inputs.shape[1], 1e-6)
    gram[np.diag_indices_from(gram)] += ridge
    return inputs.T @ np.linalg.solve(gram, targets).astype(np.float32)


def _ridge_of_many(images: np.ndarray, mean_input: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Returns float32 weights [P, 7] for uint8 images [N, 48, 48], a chunk of them at a time."""
    gram = np.zeros((mean_input.size, mean_input.size))
    moments = np.zeros((mean_input.size, NUM_EXPRESSIONS))
    starts = range(0, len(images), _CHUNK)
    for start, chunk in zip(starts, _chunks(images), strict=True):
        inputs = _inputs(chunk) - mean_input
        gram += inputs.T @ inputs
        moments += inputs.T @ targets[start : start + _CHUNK]
    ridge = max(_RIDGE * np.trace(gram) / len(gram), 1e-6)
    gram[np.diag_indices_from(gram)] += ridge
    return np.linalg.solve(gram, moments).astype(np.float32)


def majority_share(train: Faces, validation: Faces) -> float:
    """Returns the validation accuracy of always answering train's commonest expression."""
    return float(np.mean(validation.labels == np.argmax(np.bincount(train.labels))))


def _chunks(images: np.ndarray) -> list[np.ndarray]:
    return [images[start : start + _CHUNK] for start in range(0, len(images), _CHUNK)]


def _inputs(images: np.ndarray) -> np.ndarray:
    """Returns float32 [N, 2304]: faces with their own mean removed and contrast divided out."""
    pixels = images.reshape(len(images), -1).astype(np.float32)
    pixels -= pixels.mean(axis=1, keepdims=True)
    return pixels / np.maximum(pixels.std(axis=1, keepdims=True), 1.0)
