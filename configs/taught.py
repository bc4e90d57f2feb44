"""Adds two blocks to a crowd network and trains it further, on the votes and on its old self as teacher.

    fer-jax train --config taught --data FER2013 --config.start=runs/old --config.loss.teacher=runs/old

`runs/old` is what shipped before, see `deeper.py`. FER2013 and its FER+ votes, audited (26,265 faces),
seed 3, two CPU cores with AMX: 40 epochs, 152 minutes of CPU time. The last epoch agrees with the
majority on 87.6 % of 3,183 PublicTest faces single-crop (86.4 to 88.7) and 88.2 % flip-averaged, UAR
75.9 %, calibration error 1.2 %; digest 10d0f2ef0d10.
"""

from ml_collections import config_dict

from fer_jax.config import recipe


def get_config() -> config_dict.ConfigDict:
    """Returns the settings of the run; `start` and `loss.teacher` come with the command."""
    config = recipe("deeper")
    config.update_from_flattened_dict(
        {
            "seed": 3,
            "epochs": 40,
            "model.dtype": "bfloat16",
            "loss.teacher_share": 0.3,
            "optim.learning_rate": 6e-3,
            "optim.anneal_fraction": 0.75,
        }
    )
    return config
