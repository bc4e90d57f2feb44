"""Small real inputs for tests: learnable faces and short configurations."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from fer_jax.config import Config, default_config, from_config_dict
from fer_jax.data.faces import Faces
from fer_jax.models.resnet import ResNet

# Compiles in a second, for tests of everything around a network.
TINY_NETWORK = functools.partial(ResNet, widths=(8, 16), blocks=(1, 1), dropout=0.3)


def pattern_faces(count: int, *, seed: int = 0) -> Faces:
    """Faces with a bright bar under noise, at a height that depends on the class."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count, dtype=np.int32) % 7
    images = rng.integers(0, 120, (count, 48, 48), dtype=np.uint8)
    for image, label in zip(images, labels, strict=True):
        image[6 * label + 3 : 6 * label + 8, 8:40] += 110
    return Faces(images, labels, tuple(f"face {k}" for k in range(count)))


def short_config(**changes: Any) -> Config:
    """The default configuration, shortened to seconds; `changes` are dotted keys with "__" for "."."""
    config = default_config()
    config.epochs = 1
    config.batch_size = 16
    config.eval_batch_size = 16
    for key, value in changes.items():
        *sections, name = key.split("__")
        section = config
        for part in sections:
            section = section[part]
        section[name] = value
    return from_config_dict(config.to_dict())


def tiny_config(**changes: Any) -> Config:
    """A short configuration that compiles fast; its network needs the fixture `tiny_network`."""
    return short_config(**{"model__name": "tiny", "optim__name": "adamw", **changes})
