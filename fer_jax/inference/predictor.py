"""`Predictor`, the Python interface: images of faces in, calibrated probabilities out.

`Predictor.load()` reads a shipped network, or a workdir's. Called with face crops, it returns what
they express; `analyze` takes a photograph and finds the faces first.
"""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Sequence
from typing import Self

import jax
import numpy as np
from jaxtyping import Float32

from fer_jax.expressions import EXPRESSIONS
from fer_jax.faces.crop import grey_crop
from fer_jax.faces.detect import Detector, left_to_right, make_detector
from fer_jax.faces.quality import face_quality
from fer_jax.inference import MAX_BATCH
from fer_jax.inference.buckets import Buckets, Device
from fer_jax.inference.compilation import use_private_cache
from fer_jax.inference.crops import Images, as_faces, as_rgb
from fer_jax.inference.explanation import Explanation, explained
from fer_jax.inference.grad_cam import class_maps_function
from fer_jax.inference.network import FACE, inference_function
from fer_jax.inference.prediction import Face, Prediction
from fer_jax.models.probabilities import softmax
from fer_jax.saved_model import SavedModel, calibration, load_model


class Predictor:
    """A checkpoint, compiled for a few batch sizes; any number of threads may use it.

    Attributes:
        saved: the checkpoint.
        labels: names of the 7 probabilities.
        temperature: divides the logits (Guo et al., 2017); fitted on the validation split.
        uncertain_below: the confidence that the most confident 80 % of the validation faces reach.
        bucket_sizes: batch sizes that are compiled; inputs are split and padded to them.
    """

    def __init__(
        self,
        saved: SavedModel,
        *,
        max_batch: int = MAX_BATCH,
        flip: bool = False,
        devices: Sequence[Device] | None = None,
    ) -> None:
        """Compiles the network; see `load`, which reads the checkpoint too.

        Args:
            saved: the checkpoint.
            max_batch: faces of the largest batch.
            flip: return the mean over each face and its mirror image, at twice the cost.
            devices: to spread batches over; None for every accelerator of this host, or one CPU.

        Raises:
            CheckpointError: the network is not one of this version's.
        """
        self.saved, self.labels, self._flip = saved, EXPRESSIONS, flip
        self.temperature, self.uncertain_below = calibration(saved)
        self._on = devices or _devices()
        logits, variables = inference_function(saved, devices=self._on)
        self._buckets = Buckets(
            logits,
            variables,
            row=FACE,
            max_rows=max_batch,
            devices=self._on,
        )
        self._explaining = threading.Lock()
        self._map_buckets: Buckets | None = None
        self.bucket_sizes = self._buckets.sizes

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str] | None = None,
        *,
        max_batch: int = MAX_BATCH,
        flip: bool = False,
        devices: Sequence[Device] | None = None,
    ) -> Self:
        """Reads a network and compiles it, the larger batches in the background.

        Compiled programs are kept for the next start (see `inference.compilation`).

        Args:
            path: "crowd" (the default) or "fer2013", the shipped networks; or a workdir of
                fer_jax.train or a checkpoint folder.
            max_batch: faces of the largest batch.
            flip: return the mean over each face and its mirror image, at twice the cost.
            devices: to spread batches over; None for every accelerator of this host, or one CPU.

        Raises:
            CheckpointError: there is none, it is damaged, or its network is unknown to this version.
        """
        use_private_cache()
        saved = load_model(path)
        return cls(saved, max_batch=max_batch, flip=flip, devices=devices)

    def __call__(self, images: Images, *, flip: bool | None = None) -> Prediction:
        """Returns what face crops express.

        Args:
            images: uint8 [N, H, W] grey or [N, H, W, 3] RGB, or a list of [H, W], [H, W, 3] and
                [H, W, 4] of any sizes; framed as FER2013 faces are (see `fer_jax.faces.crop`).
            flip: overrides the predictor's setting for this call.

        Raises:
            TypeError: not arrays.
            ValueError: another dtype or shape.
        """
        faces = as_faces(images)
        probabilities = self._probabilities(self._buckets(faces))
        if self._flip if flip is None else flip:
            mirrored = self._probabilities(self._buckets(faces[:, :, ::-1]))
            probabilities = (probabilities + mirrored) / 2
        return Prediction(probabilities, self.uncertain_below)

    def logits(self, images: Images) -> Float32[np.ndarray, "faces 7"]:
        """Returns the network's own output, not calibrated; see `__call__`."""
        return self._buckets(as_faces(images))

    def analyze(
        self, image: np.ndarray, *, detector: Detector | None = None, flip: bool | None = None
    ) -> list[Face]:
        """Finds the faces of a photograph and returns what they express, from left to right.

        Args:
            image: uint8 [H, W] grey, [H, W, 3] RGB or [H, W, 4] RGBA (`media.images.read_image`).
            detector: None for YuNet with its defaults.
            flip: overrides the predictor's setting for this call.

        Raises:
            TypeError: not an array.
            ValueError: another dtype or shape.
            FerError: YuNet's weights are not installed.
        """
        image = as_rgb(image)
        detections = left_to_right((detector or self._detector).detect(image))
        if not detections:
            return []
        crops = [grey_crop(image, found) for found in detections]
        height, width = image.shape[:2]
        prediction = self(crops, flip=flip)
        faces = []
        for n, (crop, found) in enumerate(zip(crops, detections, strict=True)):
            quality = face_quality(crop, found, width=width, height=height)
            faces.append(
                Face(
                    box=(found.x, found.y, found.width, found.height),
                    landmarks=found.landmarks,
                    detection_score=found.score,
                    expression=prediction.expressions[n],
                    confidence=float(prediction.confidence[n]),
                    probabilities=prediction.probabilities[n],
                    quality=quality,
                    uncertain=quality != "ok" or bool(prediction.uncertain[n]),
                    crop=crop,
                )
            )
        return faces

    def explain(
        self, images: Images, *, expression: str | Sequence[str] | None = None
    ) -> Explanation:
        """Returns which parts of face crops support an expression, by Grad-CAM.

        The first call compiles the programs it needs.

        Args:
            images: as `__call__` takes them.
            expression: one for all faces, or one for each; None for each face's own.

        Raises:
            TypeError: not arrays.
            ValueError: another dtype or shape, or no such expression.
        """
        faces = as_faces(images)
        chosen = expression
        if chosen is None:
            chosen = self(faces).expressions
        elif isinstance(chosen, str):
            chosen = (chosen,) * len(faces)
        if len(chosen) != len(faces) or not set(chosen) <= set(self.labels):
            raise ValueError(
                f"expression must be one of {', '.join(self.labels)}, or one for each of "
                f"{len(faces)} faces, got {expression!r}"
            )
        maps = self._class_maps()(faces)
        classes = [self.labels.index(name) for name in chosen]
        return explained(maps[np.arange(len(faces)), classes], tuple(chosen))

    @property
    def recompiles(self) -> int:
        """Programs that calls had to compile; stays 0, because all sizes are compiled in advance."""
        return self._buckets.recompiles

    @property
    def padding(self) -> int:
        """Empty rows that filled batches up."""
        return self._buckets.padding

    def wait(self) -> None:
        """Returns when every batch size is compiled, or the current one after `stop_compiling`.

        Until then, calls use the sizes that are ready.
        """
        self._buckets.wait()

    def stop_compiling(self) -> None:
        """Starts no further compilation; for a process that is about to end."""
        for buckets in (self._buckets, self._map_buckets):
            if buckets is not None:
                buckets.stop_compiling()

    def _class_maps(self) -> Buckets:
        with self._explaining:
            if self._map_buckets is None:
                maps, variables = class_maps_function(self.saved)
                size = self.bucket_sizes[-1]
                self._map_buckets = Buckets(
                    maps, variables, row=FACE, max_rows=size, devices=self._on
                )
            return self._map_buckets

    @functools.cached_property
    def _detector(self) -> Detector:
        return make_detector("yunet")

    def _probabilities(
        self, logits: Float32[np.ndarray, "faces 7"]
    ) -> Float32[np.ndarray, "faces 7"]:
        return softmax(logits / self.temperature).astype(np.float32)


def _devices() -> list[Device]:
    """Every accelerator of this host; on a CPU one device, which uses all its cores."""
    local = jax.local_devices()
    return local[:1] if local[0].platform == "cpu" else local
