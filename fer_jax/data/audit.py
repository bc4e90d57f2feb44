"""Finds flaws in a set of faces: blanks, copies, leaks between splits, contradicting labels.

`audit` makes a report, `excluded` converts it to the faces that training leaves out
(`config.data.exclude_audited`). Neither changes anything.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence

import numpy as np

from fer_jax.data.faces import Faces
from fer_jax.data.near_duplicates import near_duplicate_groups
from fer_jax.expressions import EXPRESSIONS

TRAIN_SPLIT = "train"

_MIN_CONTRAST = 2.0  # grey levels of standard deviation; a photograph's noise alone has more
# FER2013's "this image was removed" signs and empty crops have up to 91 % of one grey level; the
# first face in that order, a thresholded one, has 71 %.
_FLAT_SHARE = 0.75
# Near copies of evaluation faces are 3 % of FER2013's training faces. If there are this many, the faces
# are drawn over a few templates, and leaving them out would leave nothing to learn from.
_MAX_NEAR_SHARE = 0.25
_CHUNK = 1024  # faces whose grey levels are counted at once


@dataclasses.dataclass(frozen=True)
class FaceRef:
    """The location of a face: its split, its index in the split, its name and its expression."""

    split: str
    index: int
    name: str
    label: str


@dataclasses.dataclass(frozen=True)
class Flaw(FaceRef):
    """A face that shows nothing, and the reason."""

    reason: str


Group = tuple[FaceRef, ...]


@dataclasses.dataclass(frozen=True)
class Audit:
    """The flaws of one data set. Groups and members are in the order of the splits and faces given.

    Attributes:
        constant: images of (nearly) one grey level, standard deviation below 2.
        placeholders: images three quarters of which are one grey level: removed-image signs,
            empty crops. Not in `constant`.
        duplicates: groups of two or more faces with identical pixels.
        cross_split: those of the duplicates in more than one split.
        label_conflicts: those of the duplicates with more than one expression.
        near_duplicates: groups of faces that show one photograph though their pixels differ
            (another brightness, compression, small shift, watermark or mirrored); exact copies of a
            member are members too. Constant images and placeholders are left out.
    """

    constant: tuple[Flaw, ...]
    placeholders: tuple[Flaw, ...]
    duplicates: tuple[Group, ...]
    cross_split: tuple[Group, ...]
    label_conflicts: tuple[Group, ...]
    near_duplicates: tuple[Group, ...]

    @property
    def near_cross_split(self) -> tuple[Group, ...]:
        """The groups of near duplicates in more than one split."""
        return tuple(group for group in self.near_duplicates if _crosses_splits(group))

    @property
    def near_label_conflicts(self) -> tuple[Group, ...]:
        """The groups of near duplicates with more than one expression."""
        return tuple(group for group in self.near_duplicates if _labels_conflict(group))

    def counts(self) -> dict[str, int]:
        """Returns how many entries each list has, by the list's name."""
        return {name: len(entries) for name, entries in self._lists().items()}

    def groups(self, kind: str) -> tuple[Group, ...]:
        """Returns the list called `kind`, single faces as groups of one."""
        return tuple(
            (entry,) if isinstance(entry, FaceRef) else entry for entry in self._lists()[kind]
        )

    def to_json(self) -> dict[str, list]:
        """Returns plain lists and dicts: flaws as dicts, groups as lists of dicts."""
        return {
            name: [
                dataclasses.asdict(entry)
                if isinstance(entry, FaceRef)
                else [dataclasses.asdict(member) for member in entry]
                for entry in entries
            ]
            for name, entries in self._lists().items()
        }

    def _lists(self) -> dict[str, Sequence[Flaw | Group]]:
        names = [field.name for field in dataclasses.fields(self)]
        return {
            name: getattr(self, name)
            for name in (*names, "near_cross_split", "near_label_conflicts")
        }


def audit(splits: Mapping[str, Faces]) -> Audit:
    """Returns the flaws of a data set; about 15 s on one core for FER2013's 32,298 faces.

    Args:
        splits: faces by split name ("train", "validation", "test"), any of them.
    """
    everyone = _members(splits)
    if not everyone:
        return Audit((), (), (), (), (), ())
    images = np.concatenate([faces.images for faces in splits.values()])
    constant, placeholders = _blank(images)
    copies = _identical(images)
    distinct = [same for same in copies if same[0] not in constant and same[0] not in placeholders]
    duplicates = tuple(tuple(everyone[i] for i in same) for same in copies if len(same) > 1)
    return Audit(
        constant=_flaws(everyone, constant),
        placeholders=_flaws(everyone, placeholders),
        duplicates=duplicates,
        cross_split=tuple(group for group in duplicates if _crosses_splits(group)),
        label_conflicts=tuple(group for group in duplicates if _labels_conflict(group)),
        near_duplicates=tuple(
            tuple(everyone[i] for i in sorted(i for group in alike for i in distinct[group]))
            for alike in near_duplicate_groups(images[[same[0] for same in distinct]])
        ),
    )


def excluded(report: Audit, splits: Mapping[str, Faces]) -> dict[str, np.ndarray]:
    """Returns the faces that training leaves out under `config.data.exclude_audited`.

    Only the train split loses faces; validation and test stay complete, so that figures on them can be
    compared with published ones. Train loses:
      * constant images and placeholders;
      * every face that has an identical copy in another split, which would inflate the figure;
      * for the same reason, every face that has a near copy in another split, unless these are more
        than a quarter of train, as in images drawn over a template;
      * of identical faces within train, all but the first, or all of them if their expressions
        contradict each other.
    Near duplicates within train stay: they act as augmentation.

    Args:
        report: the audit of exactly these splits.
        splits: faces by split name.

    Returns:
        For each split the indices to leave out, int64, ascending; empty for all splits but "train".

    Raises:
        ValueError: the audit is of different faces.
    """
    dropped: set[FaceRef] = {*report.constant, *report.placeholders}
    for group in report.duplicates:
        if _crosses_splits(group) or _labels_conflict(group):
            dropped.update(group)
        else:
            dropped.update(group[1:])
    leaked = {member for group in report.near_cross_split for member in group}
    train = splits.get(TRAIN_SPLIT)
    if train and sum(member.split == TRAIN_SPLIT for member in leaked) <= _MAX_NEAR_SHARE * len(
        train
    ):
        dropped |= leaked
    for member in dropped:
        faces = splits.get(member.split)
        if faces is None or member.index >= len(faces) or faces.names[member.index] != member.name:
            raise ValueError(f"the audit is of different faces: it lists {member.name}")
    indices = sorted({member.index for member in dropped if member.split == TRAIN_SPLIT})
    return {split: np.array(indices if split == TRAIN_SPLIT else [], np.int64) for split in splits}


def _members(splits: Mapping[str, Faces]) -> list[FaceRef]:
    return [
        FaceRef(split=split, index=index, name=name, label=EXPRESSIONS[label])
        for split, faces in splits.items()
        for index, (name, label) in enumerate(zip(faces.names, faces.labels.tolist(), strict=True))
    ]


def _flaws(everyone: Sequence[FaceRef], reasons: Mapping[int, str]) -> tuple[Flaw, ...]:
    return tuple(
        Flaw(**dataclasses.asdict(everyone[index]), reason=reason)
        for index, reason in reasons.items()
    )


def _blank(images: np.ndarray) -> tuple[dict[int, str], dict[int, str]]:
    """Returns why images are constant, and why placeholders, by index into uint8 [N, 48, 48]."""
    constant: dict[int, str] = {}
    placeholders: dict[int, str] = {}
    for start in range(0, len(images), _CHUNK):
        chunk = images[start : start + _CHUNK].reshape(-1, images[0].size)
        contrast = chunk.std(axis=1)
        share, level = _commonest_level(chunk)
        for row in np.nonzero((contrast < _MIN_CONTRAST) | (share >= _FLAT_SHARE))[0].tolist():
            if contrast[row] == 0:
                constant[start + row] = f"every pixel is {level[row]}"
            elif contrast[row] < _MIN_CONTRAST:
                constant[start + row] = f"standard deviation {contrast[row]:.1f} grey levels"
            else:
                placeholders[start + row] = f"{share[row]:.0%} of the pixels are {level[row]}"
    return constant, placeholders


def _commonest_level(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns each row's most frequent grey level and its share, of uint8 [N, P]: share, level."""
    offsets = np.arange(len(pixels))[:, None] * 256
    histogram = np.bincount((pixels + offsets).ravel(), minlength=256 * len(pixels))
    histogram = histogram.reshape(len(pixels), 256)
    return histogram.max(axis=1) / pixels.shape[1], histogram.argmax(axis=1)


def _identical(images: np.ndarray) -> list[list[int]]:
    """Returns the indices of each distinct image, in order of first appearance."""
    groups: dict[bytes, list[int]] = {}
    for index, image in enumerate(images):
        digest = hashlib.blake2b(image.tobytes(), digest_size=16).digest()
        groups.setdefault(digest, []).append(index)
    return list(groups.values())


def _crosses_splits(group: Group) -> bool:
    return len({member.split for member in group}) > 1


def _labels_conflict(group: Group) -> bool:
    return len({member.label for member in group}) > 1
