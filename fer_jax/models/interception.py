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
    """The replacement for a layer's call."""

    def __call__(
        self, layer: nn.Module, x: jax.Array, compute: Callable[[], jax.Array], /
    ) -> jax.Array:
        """Returns the layer's output for its input `x`; `compute` is the layer's own way."""
        ...


@contextlib.contextmanager
def intercepted(act: Interceptor) -> Iterator[None]:
    """Inside the `with`, `act` replaces the call of every Flax module, including the network."""

    def intercept(
        call: Callable[..., jax.Array],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        context: InterceptorContext,
    ) -> jax.Array:
        if context.method_name != "__call__":
            return call(*args, **kwargs)
        x, *_ = args
        return act(context.module, x, lambda: call(*args, **kwargs))

    with nn.intercept_methods(intercept):
        yield
