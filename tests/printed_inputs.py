"""Creates the photos, clips, faces and networks that README and docs name."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import cv2

from tests.data import face_files
from tests.faces.sample_media import PHOTO, photo, write_video
from tests.media.sample_shards import write_tar
from tests.small_checkpoint import write_workdir

_IMAGES, _VIDEOS = (".jpg", ".jpeg", ".png"), (".mp4", ".avi", ".mkv")
_OUTPUTS = ("--out", "--annotate", "--summary")


def provide(arguments: Sequence[str], folder: Path) -> None:
    """Creates a command's inputs, under the given names."""
    before = ""
    for word in arguments:
        if before == "--data":
            _provide_faces(folder / word)
        elif before == "--checkpoint":
            for name in word.split(","):
                provide_input(name, folder)
        elif before not in _OUTPUTS and not word.startswith("-"):
            provide_input(word.rpartition("=")[2], folder)
        before = word


def provide_input(name: str, folder: Path) -> None:
    """Creates the input of this name by its suffix, unless it exists or needs nothing."""
    path = folder / name
    if path.exists():
        return
    if name.endswith(_IMAGES):
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), cv2.imread(str(PHOTO)))
    elif name.endswith(_VIDEOS):
        write_video(path, [photo()[::2, ::2]] * 3, codec="mp4v", fps=10)
    elif name.endswith("*.tar") and "://" not in name:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_tar(path.with_name("0001.tar"), {"key.jpg": PHOTO.read_bytes()})
    elif name.startswith("runs/"):
        write_workdir(path, dataset="fer2013", seed=len(name) + sum(name.encode()))
    elif name.endswith("/"):
        path.mkdir(parents=True)
        shutil.copy(PHOTO, path)


def _provide_faces(path: Path) -> None:
    """Two faces of each expression in each split."""
    if not path.exists():
        names = face_files.folder_names(("train", "validation", "test"), per_class=2)
        face_files.write_files(path, face_files.image_files(names))
