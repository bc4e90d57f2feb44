"""The Keras side of the throughput benchmark: `seed_cnn` on TensorFlow, at its fastest.

Runs in a separate environment and does not import fer_jax. The step is one compiled tf.function, fed
with ready-made batches, without augmentation, clipping, averaging or metrics.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Callable

import keras  # pyright: ignore[reportMissingImports]
import numpy as np
import tensorflow as tf  # pyright: ignore[reportMissingModuleSource]
from turns import serve

_CLASSES = 7
_FACE_SIZE = 48
_READY_BATCHES = 16


def seed_cnn(dropout: float = 0.25) -> keras.Model:
    """Returns the network of fer_jax.models.seed_cnn: float32 [B, 48, 48, 1] to logits [B, 7]."""
    layers = keras.layers
    x = entry = keras.Input((_FACE_SIZE, _FACE_SIZE, 1))
    for features, size in ((64, 3), (128, 5), (512, 3), (512, 3)):
        x = layers.Conv2D(features, size, padding="same")(x)
        x = layers.ReLU()(layers.BatchNormalization()(x))
        x = layers.Dropout(dropout)(layers.MaxPooling2D(2)(x))
    x = layers.Flatten()(x)
    for features in (256, 512):
        x = layers.ReLU()(layers.BatchNormalization()(layers.Dense(features)(x)))
        x = layers.Dropout(dropout)(x)
    return keras.Model(entry, layers.Dense(_CLASSES)(x))


def compiled_step(model: keras.Model, *, xla: bool) -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor]:
    """Returns the step: uint8 faces [B, 48, 48], int labels [B] -> mean loss. Updates `model`."""
    optimizer = keras.optimizers.AdamW(learning_rate=2e-3, weight_decay=0.05)
    optimizer.build(model.trainable_variables)
    loss_of = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1)

    @tf.function(jit_compile=xla)
    def step(faces: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        images = tf.expand_dims(tf.cast(faces, tf.float32) / 255.0, -1)
        with tf.GradientTape() as tape:
            loss = loss_of(tf.one_hot(labels, _CLASSES), model(images, training=True))
        grads = tape.gradient(loss, model.trainable_variables)
        optimizer.apply(grads, model.trainable_variables)
        return loss

    return step


def main() -> None:
    """Sets up the network and serves turns of training."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch-size", type=int, default=64, help="faces a step")
    parser.add_argument("--xla", action="store_true", help="compile the step with XLA")
    arguments = parser.parse_args()

    shape = (_READY_BATCHES, arguments.batch_size)
    generator = np.random.default_rng(0)
    faces = generator.integers(0, 256, (*shape, _FACE_SIZE, _FACE_SIZE), dtype=np.uint8)
    labels = generator.integers(0, _CLASSES, shape, dtype=np.int32)
    batches = itertools.cycle(
        [(tf.constant(f), tf.constant(y)) for f, y in zip(faces, labels, strict=True)]
    )
    model = seed_cnn()
    step = compiled_step(model, xla=arguments.xla)

    def steps(count: int) -> None:
        loss = None
        for batch in itertools.islice(batches, count):
            loss = step(*batch)
        if loss is not None:
            loss.numpy()

    serve(
        {"steps": steps},
        about=f"Keras {keras.__version__}, TensorFlow {tf.__version__}, "
        f"{model.count_params():,} parameters",
    )


if __name__ == "__main__":
    main()
