"""An ONNX graph under construction, and the arrays in it.

JAX's networks keep channels last, ONNX's convolutions take them first. Every array therefore records the
order of its axes, and a transpose is added only where an operation needs another order.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import onnx
from onnx import helper, numpy_helper

from fer_jax.errors import FerError

# ReduceMax takes its axes as an input since 18. Runtimes of 2023 and later know it.
OPSET = 18

# The batch size while tracing. It is a prime that no network has among its sizes, so every size that it
# divides counts faces.
BATCH = 10_007


class Array(NamedTuple):
    """An ONNX tensor, described as the JAX array it stands for.

    Attributes:
        name: of the tensor.
        shape: in JAX, with `BATCH` for the number of faces.
        order: for each axis of the tensor, which axis it is in JAX.
    """

    name: str
    shape: tuple[int, ...]
    order: tuple[int, ...]


class Graph:
    """Nodes and constants, in order of computation."""

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []

    def node(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """Adds a node with one output and returns the name of its tensor."""
        name = f"{operator}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(operator, inputs, [name], name, **attributes))
        return name

    def constant(self, value: np.ndarray) -> str:
        """Adds an array and returns its tensor's name."""
        name = f"constant_{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def integers(self, values: Iterable[int]) -> str:
        """Adds int64 [N], ONNX's type for axes and sizes, and returns the name of its tensor."""
        return self.constant(np.array([*values], np.int64))

    def arranged(self, value: Array | np.ndarray, order: Sequence[int]) -> str:
        """Returns the name of a tensor that holds `value` with its axes in `order`, if it has any."""
        if isinstance(value, np.ndarray):
            return self.constant(value.transpose(order) if value.ndim else value)
        if value.order == tuple(order):
            return value.name
        return self.node("Transpose", value.name, perm=[value.order.index(axis) for axis in order])

    def as_traced(self, value: Array) -> str:
        """Returns the name of a tensor that holds `value` with its axes in JAX's order."""
        return self.arranged(value, range(len(value.shape)))

    def model(
        self,
        *,
        inputs: Mapping[str, Array],
        outputs: Mapping[str, Array],
        types: Mapping[str, int],
        metadata: Mapping[str, str],
    ) -> onnx.ModelProto:
        """Returns the finished, checked graph as a model with `metadata`.

        Args:
            inputs: by name; the names are those of their tensors.
            outputs: by the names to give them.
            types: onnx.TensorProto's number for the dtype of each input and output.
            metadata: of the model.
        """
        for name, array in outputs.items():
            self._nodes.append(helper.make_node("Identity", [self.as_traced(array)], [name]))

        def declared(arrays: Mapping[str, Array]) -> list[onnx.ValueInfoProto]:
            return [
                helper.make_tensor_value_info(
                    name, types[name], ["batch" if size == BATCH else size for size in array.shape]
                )
                for name, array in arrays.items()
            ]

        graph = helper.make_graph(
            self._nodes, "fer_jax", declared(inputs), declared(outputs), self._constants
        )
        opsets = [helper.make_opsetid("", OPSET)]
        model = helper.make_model(
            graph,
            opset_imports=opsets,
            ir_version=helper.find_min_ir_version_for(opsets),  # so that older runtimes read it too
            producer_name="fer_jax",
        )
        helper.set_model_props(model, dict(metadata))
        onnx.checker.check_model(model, full_check=True)
        return model


def counts_faces(size: int) -> bool:
    """Whether a traced size is the batch size or a multiple of it."""
    return size % BATCH == 0


def refusal(primitive: str, why: str = "no rule") -> FerError:
    """Returns the error for a network that cannot be translated."""
    return FerError(
        f"cannot write JAX's primitive {primitive} in ONNX ({why}); "
        "export with --format stablehlo, or extend fer_jax/exporting/onnx_rules.py"
    )
