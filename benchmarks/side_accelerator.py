"""Our side of the accelerator benchmark: one compiled loop of steps over faces on the device."""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from turns import serve

from fer_jax import command
from fer_jax.config import from_config_dict
from fer_jax.data.faces import Faces
from fer_jax.data.in_memory import Batch
from fer_jax.machine import sharding
from fer_jax.training import device_epoch
from fer_jax.training.host import set_up_host
from fer_jax.training.program import Program, assemble, validate


class Training:
    """A run that continues for a number of steps or epochs at a time."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._begin()

    def restart(self, count: int) -> None:
        """Starts over, with programs compiled for epochs of every length."""
        del count
        self._begin()
        plan = self._program.plan
        ends = [plan.order.end_of_epoch(epoch) for epoch in range(plan.config.epochs + 1)]
        for steps in {end - start for start, end in itertools.pairwise(ends)}:
            self._train(0, steps)
        validate(self._program, self._state.evaluated, plan.validation)
        self._begin()

    def _begin(self) -> None:
        self._state, self._step, self._epoch = self._program.steps.init(), 0, 0

    def steps(self, count: int) -> None:
        """Trains for `count` steps on any faces, and waits."""
        self._train(0, count)

    def epoch(self, count: int) -> list[float]:
        """Trains for `count` epochs; returns the accuracy of the averaged weights after each."""
        plan = self._program.plan
        accuracies = []
        for _ in range(count):
            self._epoch += 1
            end = plan.order.end_of_epoch(self._epoch)
            self._train(self._step, end)
            self._step = end
            found, _ = validate(self._program, self._state.evaluated, plan.validation)
            accuracies.append(found["accuracy"])
        return accuracies

    def _train(self, first: int, end: int) -> None:
        plan, steps = self._program
        assert steps.faces is not None
        rows = device_epoch.rows_of(plan, first, end)
        put = sharding.put_everywhere(rows, steps.mesh)
        self._state, losses = steps.train_on(self._state, steps.faces, put, size=48)
        jax.device_get(losses)


def main(argv: Sequence[str]) -> int:
    """Sets up the run described in the file `argv[0]` and serves turns."""
    setting = json.loads(Path(argv[0]).read_text())
    program = _program(setting)
    training = Training(program)
    devices = f"{program.steps.mesh.size} x {jax.devices()[0].device_kind}"
    serve(
        {"steps": training.steps, "epoch": training.epoch, "restart": training.restart},
        about=f"jax {jax.__version__}, {devices}",
        facts={"flops_an_image": _flops_of_a_step(program) / program.plan.config.batch_size},
    )
    return 0


def _program(setting: dict[str, Any]) -> Program:
    set_up_host(devices=0)
    config = from_config_dict(setting["config"])
    with np.load(setting["faces"]) as stored:
        train = _faces(stored["images"], stored["labels"])
        validation = _faces(stored["validation_images"], stored["validation_labels"])
    mesh = sharding.data_mesh(devices=0, batch_size=config.batch_size)
    return assemble(config, train=train, validation=validation, mesh=mesh)


def _faces(images: np.ndarray, labels: np.ndarray) -> Faces:
    return Faces(images, labels, ("",) * len(labels))


def _flops_of_a_step(program: Program) -> float:
    """Floating-point operations of a training step without augmentation, as the compiler counts them."""
    plan, steps = program
    count, shared = plan.config.batch_size, sharding.over_data(steps.mesh)
    columns: Any = (
        jax.ShapeDtypeStruct((count, *shape), dtype, sharding=shared)
        for shape, dtype in (
            ((48, 48), np.uint8),
            ((), np.int32),
            ((7,), np.float32),
            ((), np.float32),
        )
    )
    shapes = Batch(*columns)
    compiled = steps.train.lower(jax.eval_shape(steps.init), shapes).compile()  # pyright: ignore[reportFunctionMemberAccess, reportAttributeAccessIssue]
    return compiled.cost_analysis()["flops"] * steps.mesh.size


if __name__ == "__main__":
    sys.exit(command.run(main))
