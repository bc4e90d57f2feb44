"""A mirrored network from random weights, on the votes and on the answers of `self_taught`.

    fer-jax train --config mirrored --data FER2013 --config.loss.teacher=runs/self_taught

FER2013 and its FER+ votes, audited (26,265 faces), seed 7: 40 epochs. Not measured yet.
"""

from ml_collections import config_dict

from fer_jax.config import recipe


def get_config() -> config_dict.ConfigDict:
    """Returns the settings of the run; `loss.teacher` comes with the command."""
    config = recipe("crowd")
    config.update_from_flattened_dict(
        {
            "seed": 7,
            "epochs": 40,
            "model.name": "resnet_mirrored",
            "model.dtype": "bfloat16",
            "loss.teacher_share": 0.6,
            "optim.anneal_fraction": 0.75,
        }
    )
    return config
