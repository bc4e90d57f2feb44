"""Compiles a recipe's steps and the shipped network for absent TPUs; reports the cost of each program.

Needs the TPU compiler: `pip install "jax[tpu]"`, in any environment. Nothing runs; the compiler counts a
chip's work for one call.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from fer_jax import command
from fer_jax.errors import FerError

os.environ["JAX_PLATFORMS"] = "cpu"  # searching for absent chips takes minutes
os.environ.setdefault("TPU_SKIP_MDS_QUERY", "1")  # there is no cloud to query either

_FACES = 28_709  # of FER2013's training split
_PREDICTED = 64  # faces per call of the predictor


class Row(NamedTuple):
    """A compiled program's work for one call, on each chip.

    Attributes:
        program: its name.
        gflops: floating-point operations, 1e9.
        megabytes: read and written, 1e6 bytes.
        memory_mib: of arguments, results and temporaries, 2**20 bytes.
        seconds: compilation time here.
    """

    program: str
    gflops: float
    megabytes: float
    memory_mib: float
    seconds: float


class Call(NamedTuple):
    """A program and its arguments.

    Attributes:
        function: the result of `jax.jit`.
        arguments: their shapes, types and shardings.
        static: static arguments.
    """

    function: Any
    arguments: tuple[Any, ...]
    static: dict[str, int]


def main(argv: Sequence[str]) -> int:
    """Runs the command with the arguments `argv` and returns its exit code."""
    options = _parser().parse_args(argv)
    rows = {name: list(_compiled(name, options)) for name in options.topologies}
    for name, of_one in rows.items():
        print(f"\n{name}, {options.config}, for one call on each chip")
        print(f"{'':34}{'GFLOP':>10}{'MB moved':>11}{'MiB held':>11}{'s to compile':>14}")
        for row in of_one:
            print(
                f"{row.program:34}{row.gflops:10.2f}{row.megabytes:11.1f}{row.memory_mib:11.1f}"
                f"{row.seconds:14.1f}"
            )
    if options.json:
        told = {name: [row._asdict() for row in of_one] for name, of_one in rows.items()}
        options.json.write_text(json.dumps(told, indent=2) + "\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = command.Parser(prog="tpu_compile.py", description=__doc__)
    parser.add_argument("--config", default="tpu", help="recipe to compile the steps of")
    parser.add_argument(
        "--topologies",
        nargs="+",
        default=["v5e:2x2", "v5e:4x4"],
        metavar="KIND:SHAPE",
        help="default %(default)s",
    )
    parser.add_argument(
        "--a-chip", type=int, default=256, metavar="N", help="faces per step and chip"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="to write the figures to")
    return parser


def _compiled(topology: str, options: argparse.Namespace) -> Iterator[Row]:
    import jax
    from jax.experimental import topologies
    from jax.sharding import AxisType, Mesh

    try:
        devices = topologies.get_topology_desc(topology, platform="tpu").devices
    except (RuntimeError, ImportError, FileNotFoundError) as error:
        raise FerError(
            f"{topology}: cannot be compiled for ({error}); is jax[tpu] installed?"
        ) from error
    mesh = Mesh(devices, ("data",), axis_types=(AxisType.Auto,))
    calls = _calls(options.config, batch_size=options.a_chip * len(devices), mesh=mesh)
    for program, call in calls.items():
        start = time.perf_counter()
        compiled = call.function.lower(*call.arguments, **call.static).compile()
        seconds = time.perf_counter() - start
        yield _row(program, compiled, seconds=seconds)
    jax.clear_caches()


def _row(program: str, compiled: Any, *, seconds: float) -> Row:
    cost, memory = compiled.cost_analysis(), compiled.memory_analysis()
    held = memory.argument_size_in_bytes + memory.temp_size_in_bytes
    held += memory.output_size_in_bytes - memory.alias_size_in_bytes
    return Row(
        program=program,
        gflops=cost["flops"] / 1e9,
        megabytes=cost["bytes accessed"] / 1e6,
        memory_mib=held / 2**20,
        seconds=seconds,
    )


def _calls(recipe_name: str, *, batch_size: int, mesh: Any) -> dict[str, Call]:
    return {
        **_training_calls(recipe_name, batch_size=batch_size, mesh=mesh),
        f"predictor, {_PREDICTED} faces, one chip": _predictor_call(mesh),
    }


def _training_calls(recipe_name: str, *, batch_size: int, mesh: Any) -> dict[str, Call]:
    import jax
    import numpy as np

    from fer_jax.evaluation.metrics import Sums
    from fer_jax.machine import sharding
    from fer_jax.training.device_epoch import DeviceFaces

    steps = _steps(recipe_name, batch_size=batch_size, mesh=mesh)
    everywhere, shared = sharding.replicated(mesh), sharding.over_data(mesh)
    state = _shapes(jax.eval_shape(steps.init), everywhere)
    sums = _shapes(jax.eval_shape(Sums.zero), everywhere)
    batch = _batch_shapes(batch_size, shared)
    columns: Any = _batch_shapes(_FACES, everywhere)
    epoch = -(-_FACES // batch_size)
    rows = jax.ShapeDtypeStruct((epoch, batch_size), np.int32, sharding=everywhere)
    return {
        f"train step, batch {batch_size}": Call(steps.train, (state, batch), {}),
        f"epoch of {epoch} steps on the device": Call(
            steps.train_on, (state, DeviceFaces(*columns), rows), {"size": 48}
        ),
        f"eval step, batch {batch_size}": Call(steps.evaluate, (state.evaluated, sums, batch), {}),
    }


def _steps(recipe_name: str, *, batch_size: int, mesh: Any) -> Any:
    """Returns the recipe's steps; a few faces suffice, because only their shapes are used."""
    import numpy as np

    from fer_jax.config import from_config_dict, recipe
    from fer_jax.data.faces import Faces
    from fer_jax.training.batch_rule import fitted_to_batch
    from fer_jax.training.program import assemble

    settings = recipe(recipe_name)
    settings.update_from_flattened_dict({"batch_size": batch_size, "data.on_device": False})
    few = Faces(np.zeros((7, 48, 48), np.uint8), np.arange(7, dtype=np.int32), ("",) * 7)
    config = fitted_to_batch(from_config_dict(settings.to_dict()))
    return assemble(config, train=few, validation=few, mesh=mesh).steps


def _predictor_call(mesh: Any) -> Call:
    import jax
    import numpy as np

    from fer_jax.inference.network import inference_function
    from fer_jax.saved_model import load_model

    predict, variables = inference_function(load_model(), devices=list(mesh.devices))
    one = jax.sharding.SingleDeviceSharding(mesh.devices.flat[0])
    faces = jax.ShapeDtypeStruct((_PREDICTED, 48, 48), np.uint8, sharding=one)
    return Call(jax.jit(predict), (_shapes(variables, one), faces), {})


def _shapes(tree: Any, where: Any) -> Any:
    """Returns the shapes and types of a tree's arrays, placed by the sharding `where`."""
    import jax

    return jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=where), tree
    )


def _batch_shapes(count: int, where: Any) -> Any:
    import jax
    import numpy as np

    from fer_jax.data.in_memory import Batch

    columns: Any = (
        jax.ShapeDtypeStruct((count, *shape), dtype, sharding=where)
        for shape, dtype in (
            ((48, 48), np.uint8),
            ((), np.int32),
            ((7,), np.float32),
            ((), np.float32),
        )
    )
    return Batch(*columns)


if __name__ == "__main__":
    sys.exit(command.run(main))
