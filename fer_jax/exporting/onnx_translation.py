"""Traces a JAX function of a batch of faces and translates it to ONNX, primitive by primitive.

JAX computes everything that does not depend on the faces once; the result becomes a constant.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import jax
import numpy as np
import onnx
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn, Literal, Var
from onnx import helper

from fer_jax.exporting.onnx_graph import BATCH, Array, Graph, counts_faces, refusal
from fer_jax.exporting.onnx_rules import RULES, Value

_CALLS = {"jit": "jaxpr", "custom_jvp_call": "call_jaxpr"}  # are replaced by their bodies


def translate(
    function: Callable[[jax.Array], jax.Array],
    face: jax.ShapeDtypeStruct,
    *,
    input_name: str,
    output_name: str,
    metadata: Mapping[str, str],
) -> onnx.ModelProto:
    """Returns `function` as a model of a batch of any size.

    Args:
        function: maps one array [B, *face.shape] to one [B, ...], each face independently.
        face: shape and dtype of one face.
        input_name: the name of the model's input.
        output_name: the name of the model's output.
        metadata: to store in the model.

        Raises:
        FerError: the function uses a primitive that no rule translates.
    """
    traced = jax.make_jaxpr(function)(jax.ShapeDtypeStruct((BATCH, *face.shape), face.dtype))
    (result,) = traced.out_avals
    shape = (BATCH, *face.shape)
    faces = Array(input_name, shape, tuple(range(len(shape))))
    graph = Graph()
    (out,) = _run(graph, traced, [faces])
    if not isinstance(out, Array):
        raise refusal("constant", "the output does not depend on the face")
    dtypes = {input_name: face.dtype, output_name: result.dtype}
    return graph.model(
        inputs={input_name: faces},
        outputs={output_name: out},
        types={name: helper.np_dtype_to_tensor_dtype(dtype) for name, dtype in dtypes.items()},
        metadata=metadata,
    )


def _run(graph: Graph, closed: ClosedJaxpr, values: Sequence[Value]) -> list[Value]:
    """Walks through the equations in order of computation and returns the outputs."""
    jaxpr: Jaxpr = closed.jaxpr
    known: dict[Var, Value] = dict(zip(jaxpr.invars, values, strict=True))
    known.update(zip(jaxpr.constvars, map(np.asarray, closed.consts), strict=True))

    def read(atom: Var | Literal) -> Value:
        return np.asarray(atom.val) if isinstance(atom, Literal) else known[atom]

    for equation in jaxpr.eqns:
        outputs = _equation(graph, equation, [read(atom) for atom in equation.invars])
        known.update(zip(equation.outvars, outputs, strict=True))
    return [read(atom) for atom in jaxpr.outvars]


def _equation(graph: Graph, equation: JaxprEqn, values: Sequence[Value]) -> list[Value]:
    name = equation.primitive.name
    if name in _CALLS:
        return _run(graph, equation.params[_CALLS[name]], values)
    if not any(isinstance(value, Array) for value in values):
        return _computed(equation, values)
    if name not in RULES:
        raise refusal(name)
    return [RULES[name](graph, equation, *values)]


def _computed(equation: JaxprEqn, values: Sequence[Value]) -> list[Value]:
    for out in equation.outvars:
        if any(map(counts_faces, out.aval.shape)):  # pyright: ignore[reportAttributeAccessIssue]
            raise refusal(equation.primitive.name, "of a constant for each face")
    outputs = equation.primitive.bind(*values, **equation.params)
    several = equation.primitive.multiple_results
    return [np.asarray(out) for out in (outputs if several else [outputs])]
