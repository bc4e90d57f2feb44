"""Finds images of the same photograph among faces with different pixels.

Web-collected faces repeat: the same photograph at another brightness, another compression, a pixel
to the side, with a watermark or mirrored. Search is coarse first, then verified image by image.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import cv2
import numpy as np

# A face is described by its 10 x 10 lowest DCT frequencies, each multiplied by its frequency: natural
# images fall off as 1/f, so this weights coarse and fine structure equally.
_FREQUENCIES = 10
# On FER2013's 30,766 distinct faces 0.75 leaves 40,000 of 947 million pairs to verify; a floor of
# 0.7 leaves 111,000 and finds few more copies.
_CANDIDATE_CORRELATION = 0.75
# Bounds time and memory where very many faces resemble each other, as in the frames of a video.
_CANDIDATES_PER_FACE = 16
_BLOCK_ELEMENTS = 1 << 24  # float32 correlations held at once: 64 MiB

# Detail distinguishes a face from a look-alike: the scales between these two blurs, in pixels.
_FINE_BLUR, _COARSE_BLUR = 0.8, 4.0
_DETAIL_GAIN = (
    40.0  # grey levels per standard deviation of detail, so that three of them fit in uint8
)
_MAX_SHIFT = 2  # pixels, either way
# FER2013's correlations have two modes, look-alikes around 0.55 and copies above 0.9; by eye, nearly
# all pairs above 0.80 are one photograph. Drawn faces, which share eyes and glasses, need a higher
# limit: 0.86 links 38 pairs of 7,000 synthetic faces (0.80 links 1,296) and keeps 85 % of FER2013's.
_COPY_CORRELATION = 0.86


def near_duplicate_groups(images: np.ndarray) -> list[list[int]]:
    """Returns groups of two or more images of one photograph, mirrored copies included.

    Two images are linked when their detail (a band-pass of the 48 x 48 pixels, untouched by
    brightness and contrast) correlates by 0.86 or more at the best shift of up to 2 pixels; a group
    is a connected component. Candidates come from a blocked product of low-frequency DCT descriptors:
    N^2 / 2 correlations of 100 numbers, then about 65 microseconds to verify each candidate.

    Args:
        images: uint8 [N, 48, 48], distinct and none of them constant.

    Returns:
        Groups of indices, each ascending, in order of their first image.
    """
    if len(images) < 2:
        return []
    details = np.stack([_detail(image) for image in images])
    return _connected(
        (first, second)
        for first, second, mirrored in _candidates(_descriptors(images))
        if _detail_correlation(details[first], details[second], mirrored) >= _COPY_CORRELATION
    )


def _descriptors(images: np.ndarray) -> np.ndarray:
    """Returns float32 [N, 10, 10] of unit length: frequency-weighted DCT-II coefficients."""
    side = images.shape[1]
    positions = np.arange(side) + 0.5
    basis = np.cos(np.pi * np.outer(np.arange(_FREQUENCIES), positions) / side).astype(np.float32)
    frequency = np.arange(_FREQUENCIES)
    weight = np.hypot(frequency[:, None], frequency[None, :]).astype(np.float32)
    described = np.stack([basis @ image.astype(np.float32) @ basis.T for image in images]) * weight
    lengths = np.sqrt(np.sum(np.square(described), axis=(1, 2), keepdims=True))
    return described / np.maximum(lengths, 1e-6)


def _candidates(descriptors: np.ndarray) -> Iterator[tuple[int, int, bool]]:
    """Yields (first, second, mirrored) of every pair similar enough to be worth verifying."""
    count = len(descriptors)
    flat = descriptors.reshape(count, -1)
    # Mirroring an image left to right changes the sign of its odd horizontal frequencies.
    mirrored_flat = (descriptors * (-1.0) ** np.arange(_FREQUENCIES, dtype=np.float32)).reshape(
        count, -1
    )
    block = max(1, _BLOCK_ELEMENTS // count)
    for start in range(0, count, block):
        for mirrored, queries in ((False, flat), (True, mirrored_flat)):
            correlations = queries[start : start + block] @ flat[start:].T
            rows, columns = _strongest(correlations)
            for row, column in zip(rows.tolist(), columns.tolist(), strict=True):
                yield start + row, start + column, mirrored


def _strongest(correlations: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns rows and later columns above the floor, the best 16 of each row."""
    rows, columns = np.nonzero(correlations >= _CANDIDATE_CORRELATION)
    later = columns > rows
    rows, columns = rows[later], columns[later]
    order = np.lexsort((-correlations[rows, columns], rows))
    rows, columns = rows[order], columns[order]
    first_of_row = np.searchsorted(rows, rows, side="left")
    kept = np.arange(len(rows)) - first_of_row < _CANDIDATES_PER_FACE
    return rows[kept], columns[kept]


def _detail(image: np.ndarray) -> np.ndarray:
    """Returns uint8 [48, 48]: the image's band-pass at unit contrast around grey 128."""
    pixels = image.astype(np.float32)
    fine = cv2.GaussianBlur(pixels, (0, 0), _FINE_BLUR)
    detail = fine - cv2.GaussianBlur(pixels, (0, 0), _COARSE_BLUR)
    detail *= _DETAIL_GAIN / max(float(detail.std()), 1e-6)
    return np.clip(np.rint(detail + 128), 0, 255).astype(np.uint8)


def _detail_correlation(first: np.ndarray, second: np.ndarray, mirrored: bool) -> float:
    """Returns the normalised correlation of two details at the best shift of up to 2 pixels."""
    if mirrored:
        first = np.ascontiguousarray(first[:, ::-1])
    inner = first[_MAX_SHIFT:-_MAX_SHIFT, _MAX_SHIFT:-_MAX_SHIFT]
    if inner.min() == inner.max():  # OpenCV reports a flat template as a perfect match
        return 0.0
    return float(cv2.matchTemplate(second, inner, cv2.TM_CCOEFF_NORMED).max())


def _connected(links: Iterable[tuple[int, int]]) -> list[list[int]]:
    """Returns the connected components of a graph given by its links, each ascending."""
    parent: dict[int, int] = {}

    def root(node: int) -> int:
        parent.setdefault(node, node)
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    for first, second in links:
        low, high = sorted((root(first), root(second)))
        parent[high] = low
    components: dict[int, list[int]] = {}
    for node in sorted(parent):
        components.setdefault(root(node), []).append(node)
    return list(components.values())
