"""Every test here may train the tiny network."""

import pytest


@pytest.fixture(autouse=True, scope="module")
def _tiny_network(tiny_network: None) -> None:
    pass
