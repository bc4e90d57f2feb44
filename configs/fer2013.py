"""Retrains a crowd network on FER2013's own labels, for comparisons with the literature.

    fer-jax train --config fer2013 --data FER2013 --config.start=runs/longer

FER2013, audited (26,307 faces), seed 0, two CPU cores, from `longer`: 7 epochs, 16 minutes of CPU time.
It agrees with 66.7 % of PublicTest's 3,576 labels single-crop (65.1 to 68.2) and 67.3 % flip-averaged,
UAR 59.5 %, calibration error 2.1 %; digest bdb4ec207b16.
"""

from ml_collections import config_dict

from fer_jax.config import recipe


def get_config() -> config_dict.ConfigDict:
    """Returns the settings of the run; `start` comes with the command."""
    config = recipe("base")
    config.update_from_flattened_dict(
        {
            "epochs": 7,
            "optim.learning_rate": 4e-3,
            "optim.warmup_epochs": 0.3,
            "optim.anneal_fraction": 0.8,
            "resolution.start": 48,
        }
    )
    return config
