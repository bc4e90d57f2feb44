"""Facial expression recognition to train, run and trust.

`from fer_jax import Predictor` is the way in; nothing heavy is imported before a name is asked for.
"""

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fer_jax.inference.explanation import Explanation
    from fer_jax.inference.prediction import Face, Prediction
    from fer_jax.inference.predictor import Predictor

# Native libraries read these once, when they are loaded. OpenCV checks a picture's size a second time,
# with its own parser; ONNX Runtime reports to its maker unless it is told not to.
os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", "400000000")
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

__all__ = ["Explanation", "Face", "Prediction", "Predictor"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from fer_jax.inference import predictor

        return getattr(predictor, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
