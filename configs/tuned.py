"""Goes on from a run of `distilled.py` for a little while, on faces that are varied half as much.

    python -m fer_jax.train --config configs/tuned.py --config.data.dir=FER2013 --config.seed=0 \\
        --workdir runs/tuned0 --config.start=runs/distilled \\
        --config.loss.teacher=runs/distilled,runs/base,runs/adamw38

Seeds 0 to 3 are what `averaged.py` takes the mean of, with the run they began with.

FER2013, audited (26,436 faces), two CPU cores: 8 epochs, 33 minutes of CPU time each. The four
have 66.5, 66.5, 66.4 and 66.8 % of PublicTest single-crop, in the mean 66.6 % (95 % interval 66.3
to 66.9); seed 0 is digest 4bf7de45551f, the others f76f73431b94, cf58e13b3185 and 91cede551f21.
"""

from ml_collections import config_dict

from configs import distilled


def get_config() -> config_dict.ConfigDict:
    """Returns the settings of the run; `start` and `loss.teacher` come with the command."""
    config = distilled.get_config()
    config.update_from_flattened_dict(
        {
            "epochs": 8,
            "optim.learning_rate": 2e-3,
            "optim.warmup_epochs": 0.5,
            "augment.rotate_degrees": 6.0,
            "augment.scale": 0.06,
            "augment.shear": 0.04,
            "augment.translate": 0.035,
            "augment.gamma": 0.15,
            "augment.erase_probability": 0.0,
        }
    )
    return config
