"""A teacher: `self_taught` with a third more channels and one more block, trained on.

    fer-jax train --config wide --data FER2013 --config.start=runs/self_taught \\
        --config.loss.teacher=runs/self_taught

FER2013 and its FER+ votes, audited (26,265 faces), seed 6: 24 epochs. Not measured yet.
"""

from ml_collections import config_dict

from fer_jax.config import recipe


def get_config() -> config_dict.ConfigDict:
    """Returns the settings of the run; `start` and `loss.teacher` come with the command."""
    config = recipe("taught")
    config.update_from_flattened_dict(
        {
            "seed": 6,
            "epochs": 24,
            "model.name": "resnet_wide",
            "loss.teacher_share": 0.4,
            "optim.learning_rate": 5e-3,
        }
    )
    return config
