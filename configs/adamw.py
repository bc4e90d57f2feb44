"""AdamW on faces of 48 pixels all through: what `base.py` was measured against, and a teacher.

    python -m fer_jax.train --config configs/adamw.py --config.data.dir=FER2013

FER2013, audited (26,436 faces), seed 0, two CPU cores: 32 epochs, 126 minutes of CPU time; the last
epoch has 64.6 % of PublicTest single-crop and 65.3 % flip-averaged, UAR 57.0 %; digest
19a939d676b0. Gone on with --config.epochs=38 to 150 minutes: 64.6 and 65.1 %; digest bc0a04d240ca.
"""

from ml_collections import config_dict

from fer_jax.config import default_config


def get_config() -> config_dict.ConfigDict:
    """Returns the settings of the run."""
    config = default_config()
    config.epochs = 32
    return config
