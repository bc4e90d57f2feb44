"""Translates JAX's primitives to ONNX, for all primitives that our networks use.

A rule takes the graph, the traced equation and its inputs. At least one input is an `Array`, the others
may be constants. The rule adds nodes and returns the equation's single output.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Concatenate

import numpy as np
from jax.extend.core import JaxprEqn
from onnx import TensorProto

from fer_jax.exporting.onnx_graph import Array, Graph, counts_faces, refusal

Value = Array | np.ndarray
Rule = Callable[Concatenate[Graph, JaxprEqn, ...], Array]  # then the equation's inputs


def _elementwise(operator: str) -> Rule:
    def rule(graph: Graph, equation: JaxprEqn, *values: Value) -> Array:
        order = next(value.order for value in values if isinstance(value, Array))
        names = [graph.arranged(value, order) for value in values]
        return Array(graph.node(operator, *names), _shape(equation), order)

    return rule


def _max(graph: Graph, equation: JaxprEqn, x: Value, other: Value) -> Array:
    if isinstance(other, np.ndarray) and other.ndim == 0 and other == 0:
        # Runtimes fuse it with the convolution before it.
        return _elementwise("Relu")(graph, equation, x)
    return _elementwise("Max")(graph, equation, x, other)


def _square(graph: Graph, equation: JaxprEqn, x: Array) -> Array:
    return Array(graph.node("Mul", x.name, x.name), x.shape, x.order)


def _unchanged(graph: Graph, equation: JaxprEqn, x: Array) -> Array:
    return x


def _convert(graph: Graph, equation: JaxprEqn, x: Array) -> Array:
    if equation.params["new_dtype"] != np.float32:
        raise refusal("convert_element_type", f"to {equation.params['new_dtype']}")
    return Array(graph.node("Cast", x.name, to=TensorProto.FLOAT), x.shape, x.order)


def _reduction(operator: str) -> Rule:
    def rule(graph: Graph, equation: JaxprEqn, x: Array) -> Array:
        axes = equation.params["axes"]
        if any(counts_faces(x.shape[axis]) for axis in axes):
            raise refusal(equation.primitive.name, "over the batch")
        name = graph.node(operator, x.name, graph.integers(_places(x, axes)), keepdims=0)
        return Array(name, _shape(equation), _order_without(x, axes))

    return rule


def _squeeze(graph: Graph, equation: JaxprEqn, x: Array) -> Array:
    axes = equation.params["dimensions"]
    name = graph.node("Squeeze", x.name, graph.integers(_places(x, axes)))
    return Array(name, _shape(equation), _order_without(x, axes))


def _slice(graph: Graph, equation: JaxprEqn, x: Array) -> Array:
    start, stop = equation.params["start_indices"], equation.params["limit_indices"]
    step = equation.params["strides"] or (1,) * len(start)
    axes = [k for k, size in enumerate(x.shape) if (start[k], stop[k], step[k]) != (0, size, 1)]
    if any(counts_faces(x.shape[axis]) for axis in axes):
        raise refusal("slice", "of the batch")
    bounds = (graph.integers(bound[axis] for axis in axes) for bound in (start, stop))
    places, steps = graph.integers(_places(x, axes)), graph.integers(step[axis] for axis in axes)
    return Array(graph.node("Slice", x.name, *bounds, places, steps), _shape(equation), x.order)


def _reshape(graph: Graph, equation: JaxprEqn, x: Array) -> Array:
    sizes = equation.params["new_sizes"]
    if equation.params["dimensions"] is not None or sum(map(counts_faces, sizes)) > 1:
        raise refusal("reshape", f"to {sizes}")
    wanted = graph.integers(-1 if counts_faces(size) else size for size in sizes)
    return _as_traced(graph.node("Reshape", graph.as_traced(x), wanted), equation)


def _broadcast(graph: Graph, equation: JaxprEqn, x: Array) -> Array:
    kept, shape = equation.params["broadcast_dimensions"], _shape(equation)
    added = [axis for axis in range(len(shape)) if axis not in kept]
    if any(shape[axis] != 1 for axis in added) or tuple(shape[axis] for axis in kept) != x.shape:
        raise refusal("broadcast_in_dim", f"of {x.shape} to {shape}")
    return _as_traced(graph.node("Unsqueeze", graph.as_traced(x), graph.integers(added)), equation)


def _transpose(graph: Graph, equation: JaxprEqn, x: Array) -> Array:
    permutation = equation.params["permutation"]
    return Array(x.name, _shape(equation), tuple(permutation.index(axis) for axis in x.order))


def _matrix_product(graph: Graph, equation: JaxprEqn, x: Value, weights: Value) -> Array:
    (columns, rows), batched = equation.params["dimension_numbers"]
    if not isinstance(x, Array) or not isinstance(weights, np.ndarray) or weights.ndim != 2:
        raise refusal("dot_general", "with weights that depend on the face or are not a matrix")
    if [*columns] != [len(x.shape) - 1] or [*rows] != [0] or any(batched):
        raise refusal("dot_general", f"with dimension_numbers {(columns, rows), batched}")
    name = graph.node("MatMul", graph.as_traced(x), graph.constant(weights))
    return _as_traced(name, equation)


def _convolution(graph: Graph, equation: JaxprEqn, x: Value, kernel: Value) -> Array:
    params = equation.params
    axes = params["dimension_numbers"]
    if not isinstance(x, Array) or not isinstance(kernel, np.ndarray):
        raise refusal("conv_general_dilated", "with a kernel that depends on the face")
    if set(params["lhs_dilation"]) != {1} or params["batch_group_count"] != 1:
        raise refusal("conv_general_dilated", "transposed, or grouped over the batch")
    name = graph.node(
        "Conv",
        graph.arranged(x, axes.lhs_spec),
        graph.arranged(kernel, axes.rhs_spec),
        strides=params["window_strides"],
        pads=_pads(params["padding"]),
        dilations=params["rhs_dilation"],
        group=params["feature_group_count"],
    )
    return Array(name, _shape(equation), axes.out_spec)


def _window_sum(graph: Graph, equation: JaxprEqn, x: Array) -> Array:
    """Translates a sum over windows: their average times their size."""
    params = equation.params
    window = params["window_dimensions"]
    pooled = [axis for axis, size in enumerate(window) if size > 1]
    kept = [axis for axis in x.order if axis not in pooled]
    strides, padding = ([params[key][k] for k in pooled] for key in ("window_strides", "padding"))
    others = [(params["window_strides"][k], *params["padding"][k]) for k in kept]
    dilations = {*params["base_dilation"], *params["window_dilation"]}
    if len(kept) != 2 or set(others) != {(1, 0, 0)} or dilations != {1}:
        raise refusal("reduce_window_sum", f"over {window}")
    average = graph.node(
        "AveragePool",
        graph.arranged(x, [*kept, *pooled]),
        kernel_shape=[window[k] for k in pooled],
        strides=strides,
        pads=_pads(padding),
        count_include_pad=1,
    )
    name = graph.node("Mul", average, graph.constant(np.array(np.prod(window), np.float32)))
    return Array(name, _shape(equation), (*kept, *pooled))


RULES: dict[str, Rule] = {
    "add": _elementwise("Add"),
    "broadcast_in_dim": _broadcast,
    "conv_general_dilated": _convolution,
    "convert_element_type": _convert,
    "div": _elementwise("Div"),
    "dot_general": _matrix_product,
    "exp": _elementwise("Exp"),
    "max": _max,
    "mul": _elementwise("Mul"),
    "reduce_max": _reduction("ReduceMax"),
    "reduce_sum": _reduction("ReduceSum"),
    "reduce_window_sum": _window_sum,
    "reshape": _reshape,
    "slice": _slice,
    "sqrt": _elementwise("Sqrt"),
    "square": _square,
    "squeeze": _squeeze,
    "stop_gradient": _unchanged,
    "sub": _elementwise("Sub"),
    "transpose": _transpose,
}


def _shape(equation: JaxprEqn) -> tuple[int, ...]:
    return tuple(equation.outvars[0].aval.shape)  # pyright: ignore[reportAttributeAccessIssue]


def _as_traced(name: str, equation: JaxprEqn) -> Array:
    shape = _shape(equation)
    return Array(name, shape, tuple(range(len(shape))))


def _places(x: Array, axes: Collection[int]) -> list[int]:
    """Returns the positions of JAX's axes in the tensor."""
    return [x.order.index(axis) for axis in axes]


def _order_without(x: Array, axes: Collection[int]) -> tuple[int, ...]:
    """Returns the order of the remaining axes after JAX's axes are removed."""
    kept = [axis for axis in x.order if axis not in axes]
    return tuple(sorted(kept).index(axis) for axis in kept)


def _pads(padding: Sequence[tuple[int, int]]) -> list[int]:
    return [low for low, _ in padding] + [high for _, high in padding]
