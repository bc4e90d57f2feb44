"""Traces of processing in a set of faces: statistics of grey levels, steps and frequencies."""

from __future__ import annotations

import dataclasses

import numpy as np

MOST_IMAGES = 2000  # examined, evenly spaced over the set

_RANGE_EDGE = 3  # grey levels from 0 and 255 that count as the end of the range
BLOCK = 8  # pixels; of JPEG


@dataclasses.dataclass(frozen=True, kw_only=True)
class Statistics:
    """Statistics of a set of faces. Shares are of pixels or images, 0 to 1.

    Attributes:
        images: how many were examined.
        black, white: share of pixels at 0 and at 255.
        equalised: share of images with evenly spread grey levels, as after equalising.
        combed: share of levels missing in the set's histogram between levels that occur.
        full_range: share of images that reach both ends of the range.
        blocking: step between 8 x 8 blocks over the steps next to it, minus 1.
        detail: energy above a quarter of a cycle per pixel, as a share of that above a tenth.
        period: how much the sharpness of columns repeats itself, as enlarged images do.
        lit_from_inside: share of images whose eyes are lighter than the skin around them.
    """

    images: int
    black: float
    white: float
    equalised: float
    combed: float
    full_range: float
    blocking: float
    detail: float
    period: float
    lit_from_inside: float


def statistics(images: np.ndarray) -> Statistics:
    """Returns the statistics of uint8 [N, 48, 48] faces, N >= 1."""
    images = images[chosen(len(images))]
    histograms = np.stack([np.bincount(image.ravel(), minlength=256) for image in images])
    levels = histograms.sum(axis=0)
    wide = images.astype(np.float32)
    return Statistics(
        images=len(images),
        black=float(levels[0] / levels.sum()),
        white=float(levels[255] / levels.sum()),
        equalised=float((unevenness(histograms) < 0.02).mean()),
        combed=_combed(levels),
        full_range=float(_reach_both_ends(images).mean()),
        blocking=_blocking(wide),
        detail=_detail(wide),
        period=_period(wide),
        lit_from_inside=float((skin_over_eyes(wide) < 0).mean()),
    )


def chosen(count: int) -> np.ndarray:
    """Returns the indices of the examined images among `count`, int [M]."""
    return np.unique(np.linspace(0, count - 1, min(count, MOST_IMAGES)).astype(int))


def unevenness(histograms: np.ndarray) -> np.ndarray:
    """Returns how far grey levels are from evenly spread, float [N], 0 for an equalised image.

    It is the mean distance, over the levels that occur, of a level from its rank among all pixels.

    Args:
        histograms: int [N, 256].
    """
    rank = histograms.cumsum(axis=1) / np.maximum(histograms.sum(axis=1, keepdims=True), 1)
    distance = np.abs(rank - np.arange(256) / 255)
    occurs = histograms > 0
    return (distance * occurs).sum(axis=1) / np.maximum(occurs.sum(axis=1), 1)


def _combed(levels: np.ndarray) -> float:
    inner = levels[1:-1]
    around = np.minimum(levels[:-2], levels[2:])
    return float((inner < 0.3 * around).mean())


def _reach_both_ends(images: np.ndarray) -> np.ndarray:
    low, high = images.min(axis=(1, 2)), images.max(axis=(1, 2))
    return (low <= _RANGE_EDGE) & (high >= 255 - _RANGE_EDGE)


def _blocking(images: np.ndarray) -> float:
    """In both directions; a step is the mean absolute difference of two neighbours."""
    ratios = []
    for way in (images, images.transpose(0, 2, 1)):
        step = np.abs(np.diff(way, axis=2)).mean(axis=(0, 1))
        at = np.arange(BLOCK - 1, len(step) - 1, BLOCK)
        beside = (step[at - 1] + step[at + 1]) / 2
        ratios.append(float(step[at].mean() / max(beside.mean(), 1e-9)))
    return float(np.mean(ratios)) - 1


def _detail(images: np.ndarray) -> float:
    window = np.hanning(images.shape[1])
    flat = images - images.mean(axis=(1, 2), keepdims=True)
    power = (np.abs(np.fft.rfft2(flat * np.outer(window, window))) ** 2).mean(axis=0)
    down, across = np.fft.fftfreq(images.shape[1])[:, None], np.fft.rfftfreq(images.shape[2])
    frequency = np.hypot(down, across)
    return float(power[frequency > 0.25].sum() / max(power[frequency > 0.1].sum(), 1e-9))


def _period(images: np.ndarray) -> float:
    """The largest peak in the spectrum of how sharp each column and row is, over the usual height."""
    heights = []
    for way in (images, images.transpose(0, 2, 1)):
        sharp = np.log(np.abs(np.diff(way, n=2, axis=2)).mean(axis=(0, 1)) + 1e-3)
        rough = np.diff(sharp, n=2)  # slow changes over the face are not periods
        heights.append(np.abs(rough).mean())
    return float(np.mean(heights))


# Where eyes and the skin around them lie in a face image, in pixels of 48 (see faces/crop.py).
_EYES = (slice(16, 21), (slice(11, 19), slice(29, 37)))
_SKIN = (
    (slice(6, 11), slice(14, 34)),
    (slice(25, 30), slice(10, 17)),
    (slice(25, 30), slice(31, 38)),
)


def skin_over_eyes(images: np.ndarray) -> np.ndarray:
    """Returns how much lighter skin is than eyes, float [N] grey levels, of [N, 48, 48] faces."""
    rows, columns = _EYES
    eyes = np.mean([images[:, rows, each].mean(axis=(1, 2)) for each in columns], axis=0)
    skin = np.mean([images[:, y, x].mean(axis=(1, 2)) for y, x in _SKIN], axis=0)
    return skin - eyes
