"""The default run."""

from ml_collections import config_dict

from fer_jax.config import default_config


def get_config() -> config_dict.ConfigDict:
    """Returns the settings of the default run."""
    return default_config()
