"""Starts a run from trained weights: those of another run, or the mean of several.

Runs that continue from the same weights lie in one basin of the loss. The mean of their weights is often
better than each of them (Wortsman et al., 2022, arXiv:2203.05482). A larger network starts from the
weights of a smaller one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import jax
import numpy as np

from fer_jax import models
from fer_jax.config import Config
from fer_jax.errors import TrainingError
from fer_jax.inference.network import inference_parts
from fer_jax.models.growing import grow
from fer_jax.saved_model import SavedModel, Variables, load_models


class Start(NamedTuple):
    """Initial variables, float32 arrays, and the digests of the networks they are the mean of."""

    variables: Variables
    digests: tuple[str, ...]


def load_start(config: Config) -> Start | None:
    """Returns the weights that `config.start` names; None for random weights.

    Raises:
        CheckpointError: a network cannot be read or is not one of this version's.
        TrainingError: its architecture cannot grow into the one that the run trains.
    """
    networks = load_models(config.start)
    if not networks:
        return None
    variables = mean_variables([_fitting(network, config) for network in networks])
    return Start(variables, tuple(sorted(network.digest for network in networks)))


def _fitting(network: SavedModel, config: Config) -> Variables:
    """The network's variables, grown where the run trains a larger network."""
    small, _ = inference_parts(network)  # refuses weights that do not fit their network
    name = network.about["config"]["model"]["name"]
    if name == config.model.name:
        return network.variables
    large = models.build(config.model.name)
    grown = grow(network.variables, small, large, key=jax.random.key(config.seed))
    if grown is None:
        raise TrainingError(
            f"config.start={config.start}: {network.path} is a {name}, the run trains a "
            f"{config.model.name}"
        )
    return grown


def mean_variables(each: Sequence[Variables]) -> Variables:
    """Returns the mean of one or more networks' variables, array by array, keeping dtypes."""

    def mean(*arrays: np.ndarray) -> np.ndarray:
        return np.mean(np.stack(arrays), axis=0, dtype=np.float64).astype(arrays[0].dtype)

    return jax.tree.map(mean, *each)
