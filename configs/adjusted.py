"""Finishes a run of `crowd.py`: rare expressions are expected more often.

    python -m fer_jax.train --config configs/adjusted.py --config.data.dir=FER2013 \\
        --config.start=runs/crowd
"""

from ml_collections import config_dict

from configs import crowd


def get_config() -> config_dict.ConfigDict:
    """Returns the settings of the run; `start` comes with the command."""
    config = crowd.get_config()
    config.update_from_flattened_dict(
        {
            "epochs": 1,
            "optim.learning_rate": 1e-4,
            "loss.logit_adjustment": 0.2,
            "resolution.start": 48,
        }
    )
    return config
