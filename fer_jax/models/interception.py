"""Layers watched or replaced while a network runs, by Flax's interceptors."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, Protocol, runtime_checkable

import flax.linen as nn
import jax
from flax.linen.module import InterceptorContext


@runtime_checkable
class Interceptor(Protocol):
    """What stands in for a layer's call."""

    def __call__(
        self, layer: nn.Module, x: jax.Array, compute: Callable[[], jax.Array], /
    ) -> jax.Array:
        """Returns the layer's output for its input `x`; `compute` is the layer's own way."""
        ...


@contextlib.contextmanager
def intercepted(act: Interceptor) -> Iterator[None]:
    """Inside the `with`, `act` stands in for the call of every Flax module, the network included."""

    def intercept(
        call: Callable[..., jax.Array], args: Any, kwargs: Any, context: InterceptorContext
    ) -> Any:
        if context.method_name != "__call__":
            return call(*args, **kwargs)
        x, *_ = args
        return act(context.module, x, lambda: call(*args, **kwargs))

    with nn.intercept_methods(intercept):
        yield
