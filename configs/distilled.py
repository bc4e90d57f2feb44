"""Goes on from a run of `base.py`, learning from what it and others see in the training faces.

    python -m fer_jax.train --config configs/distilled.py --config.data.dir=FER2013 \\
        --config.start=runs/base --config.loss.teacher=runs/base,runs/adamw,runs/adamw38

The teachers are runs of `base.py` and `adamw.py`, the last one lengthened to 38 epochs in a copy of the
folder. What they see, calibrated and flip-averaged, is 70 % of each target, the label 30 %.

FER2013, audited (26,436 faces), seed 0, two CPU cores: 24 epochs, 109 minutes of CPU time after
the 125 of `base.py`; the last epoch has 66.7 % of PublicTest single-crop (65.2 to 68.3) and 66.4 %
flip-averaged, UAR 60.0 %; digest 2936ceba4244.
"""

from ml_collections import config_dict

from configs import base


def get_config() -> config_dict.ConfigDict:
    """Returns the settings of the run; `start` and `loss.teacher` come with the command."""
    config = base.get_config()
    config.update_from_flattened_dict(
        {
            "epochs": 24,
            "optim.learning_rate": 6e-3,
            "optim.anneal_fraction": 0.9,
            "loss.label_smoothing": 0.0,
            "loss.teacher_share": 0.7,
            "resolution.start": 48,
        }
    )
    return config
