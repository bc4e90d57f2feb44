"""The common result of all data sources: a split's faces, labels and names, in memory."""

from __future__ import annotations

import dataclasses
import hashlib

import numpy as np


@dataclasses.dataclass(frozen=True)
class Faces:
    """One split, held in memory (FER2013's 28,709 faces are 66 MB).

    Attributes:
        images: uint8 [N, 48, 48], grey levels.
        labels: int32 [N], indices into `fer_jax.expressions.EXPRESSIONS`.
        names: N names that locate the faces: a path below the data folder, or "fer2013.csv:17".
        votes: float32 [N, 10] FER+ votes, a column for each of `FERPLUS_COLUMNS`, or None if the
            source has none; see data/votes.py.
    """

    images: np.ndarray
    labels: np.ndarray
    names: tuple[str, ...]
    votes: np.ndarray | None = None

    def __post_init__(self) -> None:
        n = len(self.images)
        if not (len(self.labels) == len(self.names) == n):
            raise ValueError(f"{n} images, {len(self.labels)} labels, {len(self.names)} names")
        if self.votes is not None and len(self.votes) != n:
            raise ValueError(f"{n} images, {len(self.votes)} rows of votes")

    def __len__(self) -> int:
        return len(self.images)

    def digest(self) -> str:
        """SHA-256 of images, labels and votes: identifies these faces in this order."""
        sha = hashlib.sha256(np.ascontiguousarray(self.images).tobytes())
        sha.update(np.ascontiguousarray(self.labels, np.int32).tobytes())
        if self.votes is not None:
            sha.update(np.ascontiguousarray(self.votes, np.float32).tobytes())
        return sha.hexdigest()

    def mirrored(self) -> Faces:
        """Returns the same faces mirrored."""
        return dataclasses.replace(self, images=self.images[:, :, ::-1])

    def take(self, indices: np.ndarray) -> Faces:
        """Returns the faces at `indices` (int [M]), in that order."""
        return Faces(
            images=self.images[indices],
            labels=self.labels[indices],
            names=tuple(self.names[i] for i in indices),
            votes=None if self.votes is None else self.votes[indices],
        )
