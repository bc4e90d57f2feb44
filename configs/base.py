"""The default run: resnet_small on FER2013 where it is found, on synthetic faces where it is not.

    fer-jax train --config base --data FER2013

FER2013, audited, seed 0, two CPU cores: 36 epochs, 63 minutes; 66.4 % of PublicTest's labels
single-crop. Agreement with the majority of FER+'s votes is 72.7 %, UAR 71.4 %.
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
            "optim.reference_batch": 128,
            "optim.weight_decay": 0.1,
            "resolution.start": 32,
            "resolution.grow_over": 0.6,
        }
    )
    return config
