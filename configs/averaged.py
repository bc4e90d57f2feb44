"""Takes the mean of the weights of runs that began alike, and keeps it where another epoch is no better.

    python -m fer_jax.train --config configs/averaged.py --config.data.dir=FER2013 \\
        --config.start=runs/distilled,runs/tuned0,runs/tuned1,runs/tuned2,runs/tuned3 \\
        --config.loss.teacher=runs/distilled,runs/base,runs/adamw38
"""

from ml_collections import config_dict

from configs import tuned


def get_config() -> config_dict.ConfigDict:
    """Returns the settings of the run; `start` and `loss.teacher` come with the command."""
    config = tuned.get_config()
    config.update_from_flattened_dict({"epochs": 1, "optim.learning_rate": 1e-4})
    return config
