"""Adapts a run's settings to its batch size, so that the same number of epochs still suffices.

With n times the batch there are n times fewer steps. The rate of sgd then grows by n (Goyal et al.,
2017, arXiv:1706.02677), that of AdamW and Muon, whose steps do not grow with the gradient, by the root
of n (Malladi et al., 2022, arXiv:2205.10287). What weight decay takes away over an epoch stays the same,
and so does the time that averaged weights look back (Busbridge et al., 2023, arXiv:2307.13813).
"""

from __future__ import annotations

import dataclasses
import math

from fer_jax.config import Config


def fitted_to_batch(config: Config) -> Config:
    """Returns the settings for `config.batch_size`, with `optim.reference_batch` 0: they are final."""
    optim = config.optim
    ratio = config.batch_size / (optim.reference_batch or config.batch_size)
    if ratio == 1:
        return _replaced(config, reference_batch=0)
    growth = ratio if optim.name == "sgd" else math.sqrt(ratio)
    config = dataclasses.replace(config, ema_decay=config.ema_decay**ratio)
    return _replaced(
        config,
        reference_batch=0,
        learning_rate=optim.learning_rate * growth,
        weight_decay=optim.weight_decay * ratio / growth,
    )


def _replaced(config: Config, **changes: float) -> Config:
    return dataclasses.replace(config, optim=dataclasses.replace(config.optim, **changes))
