"""resnet_small on what FER+'s ten people see in FER2013's faces, half of them degraded as cameras do.

    fer-jax train --config crowd --data FER2013

FER2013 and its FER+ votes, audited (26,265 faces), seed 0, two CPU cores: 26 epochs, 120 minutes of CPU
time. The last epoch agrees with the majority on 86.0 % of 3,183 PublicTest faces single-crop (84.8 to
87.2) and 86.3 % flip-averaged, UAR 70.1 %, calibration error 1.6 %; digest 418c9fb3b646.
"""

from ml_collections import config_dict

from fer_jax.config import recipe


def get_config() -> config_dict.ConfigDict:
    """Returns the settings of the run."""
    config = recipe("base")
    config.update_from_flattened_dict(
        {
            "epochs": 26,
            "data.labels": "votes",
            "loss.label_smoothing": 0.0,
            "augment.camera": 0.5,
        }
    )
    return config
