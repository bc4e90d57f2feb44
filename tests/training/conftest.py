"""A network that compiles in a second, for tests of everything around a network."""

import functools
from collections.abc import Iterator

import pytest

from fer_jax import models
from fer_jax.models.resnet import ResNet


@pytest.fixture(autouse=True, scope="session")
def tiny_network() -> Iterator[None]:
    network = functools.partial(ResNet, widths=(8, 16), blocks=(1, 1), dropout=0.3)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(models.MODELS, "tiny", network)
        yield
