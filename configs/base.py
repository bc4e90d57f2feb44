"""The default run: resnet_small on FER2013 where it is found, on synthetic faces where it is not.

    python -m fer_jax.train --config configs/base.py --config.data.dir=FER2013

FER2013, audited (26,436 faces), seed 0, two CPU cores: 36 epochs, 125 minutes of CPU time; epoch 35 has
65.4 % of PublicTest single-crop (63.8 to 66.9) and flip-averaged, UAR 58.3 %; digest 68d08eed5c43.
"""

from ml_collections import config_dict

from fer_jax.config import default_config


def get_config() -> config_dict.ConfigDict:
    """Returns the settings of the default run."""
    config = default_config()
    config.update_from_flattened_dict(
        {
            "batch_size": 128,
            "ema_decay": 0.998,
            "optim.name": "muon",
            "optim.learning_rate": 1e-2,
            "optim.weight_decay": 0.1,
            "resolution.start": 32,
            "resolution.grow_over": 0.6,
        }
    )
    return config
