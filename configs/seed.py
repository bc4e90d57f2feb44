"""The classic notebook's run: four convolutions, Adam, and a rate that falls when validation stalls.

    fer-jax train --config seed --data FER2013

`seed_cnn` has batch norm after every layer and dropout of 0.25, as most FER2013 notebooks do. Its rate
is multiplied by 0.1 after two of at most 15 epochs without a better validation loss. Faces are only
mirrored; there is no label smoothing, weight decay, warm-up or averaging of weights. The audit stays.

On PublicTest 61.7 % of FER2013's labels (60.1 to 63.3), UAR 55.0 %, and 69.7 % of the crowd's (68.0 to
71.2), UAR 65.9 %, single crop, after 112 minutes on two cores shared with other work (`d39ae0a1224c`).
"""

from ml_collections import config_dict

from fer_jax.config import default_config


def get_config() -> config_dict.ConfigDict:
    """Returns the settings of the run."""
    config = default_config()
    config.update_from_flattened_dict(
        {
            "epochs": 15,
            "batch_size": 64,
            "ema_decay": 0.0,
            "model.name": "seed_cnn",
            "optim.name": "adamw",
            "optim.learning_rate": 5e-4,
            "optim.weight_decay": 0.0,
            "optim.clip_norm": 0.0,
            "optim.schedule": "plateau",
            "optim.warmup_epochs": 0.0,
            "optim.anneal_fraction": 0.0,
            "optim.plateau.factor": 0.1,
            "optim.plateau.patience": 2,
            "optim.plateau.cooldown": 0,
            "loss.label_smoothing": 0.0,
            "augment.flip": True,
            "augment.rotate_degrees": 0.0,
            "augment.scale": 0.0,
            "augment.shear": 0.0,
            "augment.translate": 0.0,
            "augment.gamma": 0.0,
            "augment.erase_probability": 0.0,
        }
    )
    return config
