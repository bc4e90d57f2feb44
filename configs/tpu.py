"""`gpu` for the four or sixteen chips of a TPU slice: 256 faces a chip, for 2 x 2 chips.

    fer-jax train --config tpu --data FER2013 --config.batch_size=4096

The command is for 4 x 4 chips. On slices of several hosts, start it on each. 60 epochs.
Not measured yet: no TPU was available, but `benchmarks/tpu_compile.py` compiles its steps.
"""

from ml_collections import config_dict

from fer_jax.config import recipe


def get_config() -> config_dict.ConfigDict:
    """Returns the settings of the run."""
    config = recipe("gpu")
    config.batch_size = 1024
    return config
