"""Gives a crowd network two more blocks and trains it on, with its old self as teacher beside the votes.

    fer-jax train --config taught --data FER2013 --config.start=runs/old --config.loss.teacher=runs/old

FER2013 and its FER+ votes, audited (26,265 faces), seed 3, two CPU cores with AMX: 40 epochs, 152
minutes of CPU time, from what shipped before (digest 7332ba825ea4), which was its teacher too. The last
epoch agrees with the majority on 87.6 % of 3,183 PublicTest faces single-crop (86.4 to 88.7) and 88.2 %
flip-averaged, UAR 75.9 %, calibration error 1.2 %; digest 10d0f2ef0d10.
"""

from ml_collections import config_dict

from fer_jax.config import recipe


def get_config() -> config_dict.ConfigDict:
    """Returns the settings of the run; `start` and `loss.teacher` come with the command."""
    config = recipe("crowd")
    config.update_from_flattened_dict(
        {
            "seed": 3,
            "epochs": 40,
            "model.name": "resnet_deep",
            "model.dtype": "bfloat16",
            "augment.camera": 0.4,
            "loss.teacher_share": 0.3,
            "optim.learning_rate": 6e-3,
            "optim.warmup_epochs": 0.5,
            "optim.anneal_fraction": 0.75,
            "resolution.start": 40,
            "resolution.grow_over": 0.5,
        }
    )
    return config
