"""The settings of a training run: `default_config` for configuration files, `Config` for the rest."""

from fer_jax.config.recipes import recipe
from fer_jax.config.schema import (
    AugmentConfig,
    Config,
    DataConfig,
    Labels,
    LossConfig,
    ModelConfig,
    OptimConfig,
    PlateauConfig,
    ResolutionConfig,
    default_config,
    flat,
    from_config_dict,
    key_exists,
    to_dict,
    unknown_key_message,
)

__all__ = [
    "AugmentConfig",
    "Config",
    "DataConfig",
    "Labels",
    "LossConfig",
    "ModelConfig",
    "OptimConfig",
    "PlateauConfig",
    "ResolutionConfig",
    "default_config",
    "flat",
    "from_config_dict",
    "key_exists",
    "recipe",
    "to_dict",
    "unknown_key_message",
]
