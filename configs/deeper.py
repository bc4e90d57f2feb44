"""Gives a crowd network two more blocks and trains it on.

fer-jax train --config deeper --data FER2013 --config.start=crowd
"""

from ml_collections import config_dict

from fer_jax.config import recipe


def get_config() -> config_dict.ConfigDict:
    """Returns the settings of the run; `start` comes with the command."""
    config = recipe("crowd")
    config.update_from_flattened_dict(
        {
            "seed": 2,
            "epochs": 26,
            "model.name": "resnet_deep",
            "augment.camera": 0.4,
            "optim.learning_rate": 7e-3,
            "optim.warmup_epochs": 0.5,
            "optim.anneal_fraction": 0.75,
            "resolution.start": 40,
            "resolution.grow_over": 0.4,
        }
    )
    return config
