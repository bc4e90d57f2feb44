from __future__ import annotations

import numpy as np
import pytest

from server.live.orientation import oriented

CORNERS = np.zeros((3, 4, 3), np.uint8)
CORNERS[0, 0] = 200  # the top left corner is bright


@pytest.mark.parametrize(
    ("rotate", "flip", "corner", "shape"),
    [
        (0, False, (0, 0), (3, 4)),
        (90, False, (0, -1), (4, 3)),
        (180, False, (-1, -1), (3, 4)),
        (270, False, (-1, 0), (4, 3)),
        (0, True, (0, -1), (3, 4)),
        (90, True, (0, 0), (4, 3)),
    ],
)
def test_an_image_is_turned_clockwise_and_then_flipped(rotate, flip, corner, shape):
    turned = oriented(CORNERS, rotate=rotate, flip=flip)
    assert turned.shape == (*shape, 3)
    assert turned[corner].tolist() == [200, 200, 200]
    assert turned.sum() == CORNERS.sum()
