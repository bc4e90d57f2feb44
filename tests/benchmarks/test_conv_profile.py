"""The pieces of a training step that are timed alone."""

from __future__ import annotations

import conv_profile
import jax
import numpy as np
import pytest


@pytest.mark.parametrize("side", [3, 5])
def test_the_kernel_gradient_by_image_is_that_of_the_convolution(side: int) -> None:
    layer = conv_profile.Layer(side=6, inputs=3, outputs=4, kernel=side)
    _, _, (wanted, *arguments), (by_image, *some) = conv_profile._convolution(layer, 5)
    expected = jax.jit(wanted)(*arguments).reshape(-1, 4).T
    np.testing.assert_allclose(jax.jit(by_image)(*some), expected, rtol=1e-4, atol=1e-4)
