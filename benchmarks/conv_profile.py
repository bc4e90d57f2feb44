"""Where a training step spends its time on one CPU device; takes a minute.

Each piece is compiled and timed alone: every convolution, forward and for both of its gradients, and the
kernel's gradient by matrix products image by image, which XLA does not do; then, for `seed_cnn` at the
last batch size, the layers between convolutions, the optimiser and the whole step.
"""

from __future__ import annotations

import functools
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVarTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from side_fer_jax import random_program

from fer_jax import command
from fer_jax.errors import FerError
from fer_jax.machine import sharding
from fer_jax.models.blocks import max_pool_2x2
from fer_jax.training.optim import optimizer
from fer_jax.training.plan import Plan, training_batch
from fer_jax.training.program import Program
from fer_jax.training.state import TrainState

Arguments = TypeVarTuple("Arguments")


class Layer(NamedTuple):
    """A convolution."""

    side: int  # pixels
    inputs: int
    outputs: int
    kernel: int

    def __str__(self) -> str:
        shape = f"{self.inputs}->{self.outputs}, {self.kernel}x{self.kernel}"
        return f"{self.side}x{self.side}, {shape}"


_LAYERS = {
    "seed_cnn": (
        Layer(48, 1, 64, 3),
        Layer(24, 64, 128, 5),
        Layer(12, 128, 512, 3),
        Layer(6, 512, 512, 3),
    ),
    "resnet_small": (Layer(24, 48, 48, 3), Layer(12, 96, 96, 3), Layer(6, 192, 192, 3)),
}
_PASSES = ("forward", "d input", "d kernel", "by image")


def main(argv: Sequence[str]) -> int:
    """Runs the command with the arguments `argv` and returns its exit code."""
    parser = command.Parser(prog="conv_profile.py", description=__doc__)
    parser.add_argument(
        "--batch-sizes", type=int, nargs="+", default=[32, 64], help="faces per step; default 32 64"
    )
    parser.add_argument("--model", choices=list(_LAYERS), default="seed_cnn", help="network")
    parser.add_argument("--repeats", type=int, default=5, help="timings per median")
    options = parser.parse_args(argv)
    if min(*options.batch_sizes, options.repeats) < 1:
        raise FerError("--batch-sizes and --repeats: expected 1 or more")
    layers = _LAYERS[options.model]
    total = [_convolutions(layers, size, repeats=options.repeats) for size in options.batch_sizes]
    if options.model == "seed_cnn":
        _whole(layers, options.batch_sizes[-1], convolutions=total[-1], repeats=options.repeats)
    return 0


def _convolutions(layers: Sequence[Layer], batch_size: int, *, repeats: int) -> float:
    """Prints each convolution's speed; returns the total seconds of those in a step."""
    print(f"batch {batch_size:<12}{'GFLOP/s':>36}{'ms':>38}")
    print(f"{'':18}" + 2 * ("".join(f"{name:>9}" for name in _PASSES) + "  "))
    total = 0.0
    for layer in layers:
        taken = [_seconds(*case, repeats=repeats) for case in _convolution(layer, batch_size)]
        total += sum(taken[:3])
        if layer.inputs == 1:
            total -= taken[1]  # the image's gradient is not needed
        work = 2e-9 * batch_size * layer.side**2 * layer.kernel**2 * layer.inputs * layer.outputs
        rates = "".join(f"{work / each:9.0f}" for each in taken)
        milliseconds = "".join(f"{1e3 * each:9.1f}" for each in taken)
        print(f"{layer!s:22}{rates[4:]}  {milliseconds}", flush=True)
    print()
    return total


def _whole(layers: Sequence[Layer], batch_size: int, *, convolutions: float, repeats: int) -> None:
    """Prints the parts of a step and their shares."""
    program = random_program("seed_cnn", batch_size=batch_size, devices=1, steps=1)
    state = program.steps.init()
    between = [_seconds(*_between(layer, batch_size), repeats=repeats) for layer in layers]
    parts = {
        "convolutions": convolutions,
        "batch norm, ReLU, pooling, dropout": sum(between),
        "optimiser and averaged weights": _seconds(*_update(program.plan, state), repeats=repeats),
    }
    whole = _step_seconds(program, state, repeats=repeats)
    parts["the rest: dense layers, loss, overlap"] = whole - sum(parts.values())
    for name, part in parts.items():
        print(f"{name:38}{1e3 * part:8.1f} ms {part / whole:5.0%}")
    print(
        f"{'a step of ' + str(batch_size):38}{1e3 * whole:8.1f} ms  {batch_size / whole:.1f} images/s"
    )


def _seconds(run: Callable[[*Arguments], object], *arguments: *Arguments, repeats: int) -> float:
    """Median time of `run`, compiled, on the same arguments."""
    compiled = jax.jit(run).lower(*arguments).compile()
    jax.block_until_ready(compiled(*arguments))
    taken = []
    for _ in range(repeats):
        start = time.perf_counter()
        jax.block_until_ready(compiled(*arguments))
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def _convolution(layer: Layer, batch_size: int) -> list[tuple[Any, ...]]:
    """A layer's convolution forward, its gradients and the other kernel gradient, with arguments."""
    image = _random(batch_size, layer.side, layer.side, layer.inputs)
    kernel = _random(layer.kernel, layer.kernel, layer.inputs, layer.outputs)
    gradient = _random(batch_size, layer.side, layer.side, layer.outputs)

    def forward(image: jax.Array, kernel: jax.Array) -> jax.Array:
        return jax.lax.conv_general_dilated(
            image, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )

    def pulled_back(
        image: jax.Array, kernel: jax.Array, gradient: jax.Array, *, wanted: int
    ) -> jax.Array:
        return jax.vjp(forward, image, kernel)[1](gradient)[wanted]

    return [
        (forward, image, kernel),
        (functools.partial(pulled_back, wanted=0), image, kernel, gradient),
        (functools.partial(pulled_back, wanted=1), image, kernel, gradient),
        (functools.partial(_kernel_gradient_by_image, side=layer.kernel), image, gradient),
    ]


def _kernel_gradient_by_image(image: jax.Array, gradient: jax.Array, *, side: int) -> jax.Array:
    """The kernel's gradient as a sum of products, one for each image's patches: they fit in a cache."""
    rows, columns, channels = image.shape[1:]
    edge = ((side // 2, side // 2),) * 2
    padded = jnp.pad(image, ((0, 0), *edge, (0, 0)))

    def add(total: jax.Array, one: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, None]:
        pixels, change = one
        shifts = [pixels[i : i + rows, j : j + columns] for i in range(side) for j in range(side)]
        patches = jnp.concatenate(shifts, axis=-1).reshape(rows * columns, -1)
        return total + change.reshape(rows * columns, -1).T @ patches, None

    nothing = jnp.zeros((gradient.shape[-1], side**2 * channels), image.dtype)
    return jax.lax.scan(add, nothing, (padded, gradient))[0]


class _Between(nn.Module):
    """The layers of `seed_cnn` from one convolution to the next."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        x = nn.relu(nn.BatchNorm(use_running_average=False)(x))
        return nn.Dropout(0.25, deterministic=False)(max_pool_2x2(x))


def _between(layer: Layer, batch_size: int) -> tuple[Any, ...]:
    """The layers after a convolution, forward and backward, with arguments."""
    x = _random(batch_size, layer.side, layer.side, layer.outputs)
    gradient = _random(batch_size, layer.side // 2, layer.side // 2, layer.outputs)
    key = jax.random.key(0)
    shapes = jax.eval_shape(_Between().init, {"params": key, "dropout": key}, x)
    variables = jax.tree.map(lambda leaf: jnp.ones(leaf.shape, leaf.dtype), shapes)

    def forward_and_back(variables: Any, x: jax.Array, gradient: jax.Array) -> Any:
        def forward(params: Any, x: jax.Array) -> tuple[jax.Array, Any]:
            return _Between().apply(
                {**variables, "params": params}, x, mutable=["batch_stats"], rngs={"dropout": key}
            )

        y, pull_back, updated = jax.vjp(forward, variables["params"], x, has_aux=True)
        return y, pull_back(gradient), updated

    return forward_and_back, variables, x, gradient


def _update(plan: Plan, state: TrainState) -> tuple[Any, ...]:
    """The optimiser's part of a step, with arguments."""
    optimiser = optimizer(plan.config.optim, lambda step: plan.config.optim.learning_rate)
    params = state.variables["params"]

    def update(params: Any, opt_state: Any, averaged: Any, grads: Any) -> Any:
        updates, opt_state = optimiser.update(grads, opt_state, params)
        params = optax.apply_updates(params, updates)
        decay = plan.config.ema_decay
        return params, opt_state, optax.incremental_update(params, averaged, 1 - decay)

    return update, params, state.opt_state, params, params


def _step_seconds(program: Program, state: TrainState, *, repeats: int) -> float:
    """Median time of the real step, which takes its state from the previous step."""
    plan, steps = program
    batch = sharding.put_batch(training_batch(plan, 0), steps.mesh)
    state, _ = jax.block_until_ready(steps.train(state, batch))
    taken = []
    for _ in range(repeats):
        start = time.perf_counter()
        state, _ = jax.block_until_ready(steps.train(state, batch))
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def _random(*shape: int) -> jax.Array:
    return jnp.asarray(np.random.default_rng(0).standard_normal(shape, np.float32))


if __name__ == "__main__":
    sys.exit(command.run(main))
