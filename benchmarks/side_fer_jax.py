"""Our side of the throughput benchmark: the project's training loop on random faces in memory.

It is complete: shuffling, augmentation on a host thread, the compiled step with gradient clipping,
averaged weights and the epoch's figures.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

import jax
import numpy as np
from turns import serve

from fer_jax import command
from fer_jax.config import Config, ModelConfig
from fer_jax.data.faces import Faces
from fer_jax.expressions import NUM_EXPRESSIONS
from fer_jax.faces.preprocess import FACE_SIZE
from fer_jax.machine import sharding
from fer_jax.training import loop
from fer_jax.training.host import set_up_host
from fer_jax.training.plan import training_batch
from fer_jax.training.program import Program, assemble

Precision: TypeAlias = Literal["float32", "bfloat16"]


class Training:
    """A run that continues for a number of steps at a time."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._state = program.steps.init()
        self._batches = itertools.count()

    def parameters(self) -> int:
        """Returns the number of trained parameters."""
        return sum(leaf.size for leaf in jax.tree.leaves(self._state.variables["params"]))

    def steps(self, count: int) -> None:
        """Trains for `count` steps and waits for the last one."""
        asked = itertools.count()
        try:
            loop.run(
                self._program,
                self._state,
                reporter=_Silent(),
                save=lambda state, row, kept: None,
                should_stop=lambda: next(asked) == count,
            )
        except loop.RunInterrupted as stop:
            self._state = jax.block_until_ready(stop.state)

    def batches(self, count: int) -> None:
        """Builds `count` training batches, the host's part of a step."""
        for step in itertools.islice(self._batches, count):
            training_batch(self._program.plan, step % self._program.plan.total_steps)


class _Silent:
    def step(self, *, epoch: int, step: int, loss: float, learning_rate: float) -> None:
        del epoch, step, loss, learning_rate

    def epoch(self, row: dict[str, Any]) -> None:
        del row


def main(argv: Sequence[str]) -> int:
    """Sets up a run from the arguments `argv` and serves turns."""
    parser = command.Parser(prog="side_fer_jax.py", description=__doc__)
    parser.add_argument("--model", default="seed_cnn", help="a network of fer_jax.models")
    parser.add_argument("--batch-size", type=int, default=64, help="faces a step")
    parser.add_argument("--devices", type=int, default=0, help="0: one simulated device per core")
    precisions = ("float32", "bfloat16")
    parser.add_argument("--dtype", default="float32", choices=precisions, help="of convolutions")
    parser.add_argument("--most-steps", type=int, required=True, help="steps to have faces for")
    arguments = parser.parse_args(argv)

    program = random_program(
        arguments.model,
        batch_size=arguments.batch_size,
        devices=arguments.devices,
        steps=arguments.most_steps + 1,
        dtype=arguments.dtype,
    )
    training = Training(program)
    devices = f"{program.steps.mesh.size} {jax.default_backend()} device(s)"
    serve(
        {"steps": training.steps, "batches": training.batches},
        about=f"jax {jax.__version__}, {devices}",
        facts={"parameters": training.parameters()},
    )
    return 0


def random_program(
    model: str, *, batch_size: int, devices: int, steps: int, dtype: Precision = "float32"
) -> Program:
    """Returns the default run of `model` on random faces: one epoch of `steps` steps.

    Call it before the process uses JAX.

    Args:
        model: a key of fer_jax.models.MODELS.
        batch_size: faces a step.
        devices: simulated CPU devices; 0: one per core.
        steps: number of steps in the run.
        dtype: of the convolutions.
    """
    set_up_host(devices=devices)
    network = ModelConfig(name=model, dtype=dtype)
    config = Config(epochs=1, batch_size=batch_size, devices=devices, model=network)
    mesh = sharding.data_mesh(devices=devices, batch_size=batch_size)
    faces = _random_faces(steps * batch_size)
    return assemble(config, train=faces, validation=faces.take(np.arange(1)), mesh=mesh)


def _random_faces(count: int) -> Faces:
    generator = np.random.default_rng(0)
    return Faces(
        images=generator.integers(0, 256, (count, FACE_SIZE, FACE_SIZE), dtype=np.uint8),
        labels=generator.integers(0, NUM_EXPRESSIONS, count, dtype=np.int32),
        names=("",) * count,
    )


if __name__ == "__main__":
    sys.exit(command.run(main))
