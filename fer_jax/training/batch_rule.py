"""Adapts a run's settings to its batch size, so that the same number of epochs still suffices.

With n times the batch there are n times fewer steps. The rate of sgd then grows by n (Goyal et al.,
2017, arXiv:1706.02677), that of AdamW, whose steps do not grow with the gradient, by the root of n
(Malladi et al., 2022, arXiv:2205.10287). Muon's rate grows by n, and its momentum forgets faster by the
root of n: halfway between as many steps and as many faces as before. Either end learned less in the
first epochs; `benchmarks/batch_outcome.py` measures the whole. What weight decay takes away over an
epoch stays the same, and so does the time that averaged weights look back (Busbridge et al., 2023,
arXiv:2307.13813).
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
    config = dataclasses.replace(config, ema_decay=config.ema_decay**ratio)
    root = math.sqrt(ratio)
    growth = ratio if optim.name == "sgd" else root
    changes = {"reference_batch": 0, "learning_rate": optim.learning_rate * growth}
    if optim.name == "muon":
        changes |= {
            "muon_momentum": max(0.0, 1 - root * (1 - optim.muon_momentum)),
            "muon_factor": optim.muon_factor * root,
        }
    decaying = root if optim.name == "adamw" else ratio
    return _replaced(config, weight_decay=optim.weight_decay * ratio / decaying, **changes)


def _replaced(config: Config, **changes: float) -> Config:
    return dataclasses.replace(config, optim=dataclasses.replace(config.optim, **changes))
