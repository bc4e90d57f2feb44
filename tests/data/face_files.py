"""Makes tiny real data sets in every form in which FER2013 is distributed."""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np

from fer_jax.data.records import Reading
from fer_jax.expressions import (
    EXPRESSIONS,
    FER2013_TO_INDEX,
    FERPLUS_COLUMNS,
    FERPLUS_TO_INDEX,
)

_CSV_LABELS = {index: label for label, index in enumerate(FER2013_TO_INDEX)}


def face(seed: int, *, size: int = 48, channels: int = 0) -> np.ndarray:
    """A unique smooth image, uint8 [size, size] or [size, size, channels]."""
    shape = (size, size, channels) if channels else (size, size)
    noise = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    return cv2.GaussianBlur(noise, (0, 0), size / 24)


def encoded(image: np.ndarray, suffix: str = ".png") -> bytes:
    done, data = cv2.imencode(suffix, image)
    assert done
    return data.tobytes()


def image_files(names: Iterable[str]) -> dict[str, bytes]:
    """name -> bytes of a distinct image, encoded by the name's suffix."""
    return {name: encoded(face(i), Path(name).suffix) for i, name in enumerate(sorted(names))}


def write_files(folder: Path, files: Mapping[str, bytes]) -> Path:
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def image_folder(path: Path, names: Iterable[str]) -> Path:
    """A folder of such images."""
    return write_files(path, image_files(names))


def write_zip(path: Path, files: Mapping[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def write_tar(path: Path, files: Mapping[str, bytes]) -> Path:
    """A tar compressed by its suffix; its members keep the given order."""
    compression = path.suffix.removeprefix(".").replace("tar", "").replace("tgz", "gz")
    with tarfile.open(path, f"w:{compression}") as archive:  # type: ignore[call-overload]
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def csv_row(seed: int, label: int, usage: str) -> list[str]:
    """emotion, pixels, Usage of one face; `label` is an index into EXPRESSIONS."""
    pixels = " ".join(map(str, face(seed).ravel().tolist()))
    return [str(_CSV_LABELS[label]), pixels, usage]


def csv_bytes(rows: Sequence[Sequence[str]], header: str = "emotion,pixels,Usage") -> bytes:
    return "\n".join([header, *(",".join(row) for row in rows), ""]).encode()


def votes_bytes(rows: Sequence[tuple[str, Mapping[str, int]]]) -> bytes:
    """fer2013new.csv of (Usage, votes by FER+'s own names) rows."""
    lines = [",".join(["Usage", "Image name", *FERPLUS_COLUMNS])]
    for number, (usage, votes) in enumerate(rows):
        counts = [str(votes.get(column, 0)) for column in FERPLUS_COLUMNS]
        lines.append(",".join([usage, f"fer{number:07}.png", *counts]))
    return "\n".join([*lines, ""]).encode()


def fer2013_with_votes(folder: Path) -> Path:
    """Three happy faces for each one of another expression to train on; all people agree."""
    names = [*["happy"] * 3, *EXPRESSIONS] * 3
    usages = ["Training"] * 20 + ["PublicTest"] * 10
    rows = [
        csv_row(seed, EXPRESSIONS.index(name), usage)
        for seed, (name, usage) in enumerate(zip(names, usages, strict=True))
    ]
    columns = {
        EXPRESSIONS[index]: column
        for column, index in zip(FERPLUS_COLUMNS, FERPLUS_TO_INDEX, strict=True)
        if index is not None
    }
    votes = [(usage, {columns[name]: 10}) for name, usage in zip(names, usages, strict=True)]
    folder.mkdir()
    (folder / "fer2013.csv").write_bytes(csv_bytes(rows))
    (folder / "fer2013new.csv").write_bytes(votes_bytes(votes))
    return folder


def folder_names(splits: Sequence[str] = ("train", "validation"), per_class: int = 1) -> list[str]:
    """<split>/<class>/<n>.png for every expression."""
    return [
        f"{split}/{expression}/{n}.png"
        for split in splits
        for expression in EXPRESSIONS
        for n in range(per_class)
    ]


def names(reading: Reading) -> dict[str, list[str]]:
    """split -> names of its faces, in order."""
    return {split: list(faces.names) for split, faces in reading.splits.items()}


def total(reading: Reading) -> int:
    """Images that are used or counted."""
    used = sum(map(len, reading.splits.values()))
    return used + len(reading.skipped) + sum(reading.left_out.values())


TWENTY_OF_EACH = [f"{expression}/{n}.png" for expression in EXPRESSIONS for n in range(20)]
ROWS = [
    csv_row(0, 3, "Training"),
    csv_row(1, 4, "PublicTest"),
    csv_row(2, 6, "PrivateTest"),
    csv_row(3, 5, "Training"),
]
