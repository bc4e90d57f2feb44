"""`crowd` for one or more GPUs: a wider network in bfloat16, large batches, data on the devices.

    fer-jax train --config gpu --data FER2013

Parameters, statistics of batch norm and the optimiser stay float32. The rate, weight decay and averaging
of `crowd` are fitted to the batch. 60 epochs. Not measured yet: no GPU was available.
"""

from ml_collections import config_dict

from fer_jax.config import recipe


def get_config() -> config_dict.ConfigDict:
    """Returns the settings of the run."""
    config = recipe("crowd")
    config.update_from_flattened_dict(
        {
            "epochs": 60,
            "batch_size": 512,
            "eval_batch_size": 2048,
            "data.on_device": True,
            "model.name": "resnet_medium",
            "model.dtype": "bfloat16",
            "resolution.start": 48,
        }
    )
    return config
