"""Facial expression recognition to train, run and trust.

Start with `from fer_jax import Predictor`. Nothing slow is imported until one of the names is used.
"""

import importlib
import importlib.metadata
import os
import sys
from typing import TYPE_CHECKING, Any

from fer_jax.command import end_at_once_until_run
from fer_jax.machine.cache_folder import keep_matplotlib_in_cache

if TYPE_CHECKING:
    from fer_jax.errors import FerError
    from fer_jax.inference.explanation import Explanation
    from fer_jax.inference.prediction import Face, Prediction
    from fer_jax.interface.photo_predictor import AnalyzedFrame
    from fer_jax.interface.photo_predictor import PhotoPredictor as Predictor
    from fer_jax.media.images import read_image

    __version__: str

# Native libraries read these once, when they are loaded. OpenCV checks an image's size a second time,
# with its own parser; ONNX Runtime sends telemetry unless told not to.
os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", "400000000")
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
keep_matplotlib_in_cache()

if sys.argv[:1] == ["-m"]:  # a command of ours is being started, and imports for seconds
    end_at_once_until_run()

__all__ = [
    "AnalyzedFrame",
    "Explanation",
    "Face",
    "FerError",
    "Prediction",
    "Predictor",
    "__version__",
    "read_image",
]

_MODULES = {
    "AnalyzedFrame": "fer_jax.interface.photo_predictor",
    "Explanation": "fer_jax.inference.explanation",
    "Face": "fer_jax.inference.prediction",
    "FerError": "fer_jax.errors",
    "Prediction": "fer_jax.inference.prediction",
    "Predictor": "fer_jax.interface.photo_predictor",
    "read_image": "fer_jax.media.images",
}
_CALLED = {"Predictor": "PhotoPredictor"}  # `inference.Predictor` takes face crops and arrays only


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return importlib.metadata.version("fer_jax")
    if name in _MODULES:
        return getattr(importlib.import_module(_MODULES[name]), _CALLED.get(name, name))
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
