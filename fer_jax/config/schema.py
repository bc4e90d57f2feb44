"""Every setting of a training run: typed, documented, checked. The only file that knows the keys.

A configuration file (`configs/*.py`) edits the `ConfigDict` that `default_config` returns; the command
line edits it further (`--config.optim.learning_rate=1e-3`); `from_config_dict` checks the outcome and
freezes it into the dataclasses below; the rest of the project sees only those.
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from fer_jax.config.typed import all_keys, build, require_range, to_config_dict
from fer_jax.errors import ConfigError
from fer_jax.faces.preprocess import FACE_SIZE

if TYPE_CHECKING:
    from ml_collections import config_dict

Labels = Literal["own", "votes"]  # the data's own, or what FER+'s ten people see


@dataclasses.dataclass(frozen=True, kw_only=True)
class DataConfig:
    """Which faces to train on."""

    # "auto" takes FER2013, or any folder of faces, if `dir` holds it, otherwise synthetic faces.
    name: Literal["auto", "fer2013", "folder", "synthetic"] = "auto"
    # A folder, csv or archive. Empty: $FER_DATA_DIR, and without that data/.
    dir: str = ""
    # An image or row that cannot be read: "raise" ends the run, "skip" leaves it out and counts it.
    on_error: Literal["raise", "skip"] = "raise"
    # Leave out of training what the audit lists: blank faces, copies, faces that are in another split.
    exclude_audited: bool = True
    # Whose judgement to learn: "own", the data's label of each face, or "votes", what FER+'s ten people
    # see in it. Targets are then vote shares, faces weigh as much as their votes, and validation is
    # against the majority; see data/votes.py.
    labels: Labels = "own"
    # Draw every expression equally often, with replacement.
    balanced_sampling: bool = False
    # Keep the training faces on the devices, augment them there, and run an epoch as one compiled loop:
    # for accelerators. Such a run stops and resumes between epochs.
    on_device: bool = False
    # Synthetic faces drawn for training and for validation.
    synthetic_train: int = 6000
    synthetic_validation: int = 1000


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """Which network to train."""

    name: str = "resnet_small"  # a key of fer_jax.models.MODELS
    dropout: float | None = None  # probability; None: the network's own
    dtype: Literal["float32", "bfloat16"] = "float32"  # of the convolutions


@dataclasses.dataclass(frozen=True, kw_only=True)
class PlateauConfig:
    """When to lower the learning rate; the arguments of optax.contrib.reduce_on_plateau."""

    factor: float = 0.5  # the learning rate is multiplied by this
    patience: int = 4  # evaluations without a better validation loss before that happens
    cooldown: int = 1  # evaluations after it that do not count
    rtol: float = 1e-3  # relative improvement that counts as better
    min_scale: float = 1e-2  # the smallest multiple; out of patience there, training stops early


@dataclasses.dataclass(frozen=True, kw_only=True)
class OptimConfig:
    """How parameters move."""

    # sgd uses Nesterov momentum; muon acts on convolutions, all other parameters follow Adam
    # (Jordan et al., 2024, https://kellerjordan.github.io/posts/muon).
    name: Literal["adamw", "sgd", "muon"] = "adamw"
    learning_rate: float = 2e-3  # at its peak
    # The batch size that the rates, muon_momentum, weight_decay and ema_decay are meant for; they are
    # fitted to another one, see training/batch_rule.py. 0: they are taken as they are.
    reference_batch: int = 0
    weight_decay: float = 0.2  # decoupled; convolution and dense kernels only (muon: convolutions)
    momentum: float = 0.9  # of sgd
    muon_momentum: float = 0.95  # of muon's convolutions
    muon_factor: float = 1.0  # Muon's rate, for convolutions, by that of all other parameters
    clip_norm: float = 1.0  # largest global gradient norm; 0: no clipping
    schedule: Literal["plateau", "cosine", "constant"] = "plateau"
    warmup_epochs: float = 1.0  # linear rise from zero
    # Share of the run, at its end, over which the rate falls linearly to zero, regardless of the plateau
    # (Hagele et al., 2024, arXiv:2405.18392). Not used by "cosine".
    anneal_fraction: float = 0.5
    plateau: PlateauConfig = dataclasses.field(default_factory=PlateauConfig)


@dataclasses.dataclass(frozen=True, kw_only=True)
class LossConfig:
    """What is minimised."""

    label_smoothing: float = 0.1  # share of each target spread over all classes
    class_weights: Literal["none", "balanced"] = "none"  # "balanced": inverse to frequency
    mixup: float = 0.0  # Beta parameter; 0: off (Zhang et al., 2018, arXiv:1710.09412)
    cutmix: float = 0.0  # Beta parameter; 0: off (Yun et al., 2019, arXiv:1905.04899)
    # Shipped names, workdirs or checkpoints to learn from in addition to the labels, separated by
    # commas; their probabilities are averaged. See training/distillation.py.
    teacher: str = ""
    teacher_share: float = 0.5  # of each target, when there are teachers
    # Share of the classes' log frequency that the kept weights have subtracted from their logits, see
    # training/finishing.py. It is subtracted again if the weights in `start` already have it.
    logit_adjustment: float = 0.0
    # Only expressions with a smaller share of the training faces than this are raised so; 1: all.
    logit_adjustment_below: float = 1.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class AugmentConfig:
    """How training faces are augmented; each amount is the largest one drawn."""

    flip: bool = True  # mirror half of them
    rotate_degrees: float = 12.0
    scale: float = 0.12  # relative size
    shear: float = 0.08
    translate: float = 0.07  # share of the image's side
    gamma: float = 0.3  # exponent drawn from exp(+-gamma)
    camera: float = (
        0.0  # probability of degrading a face as a bad camera does, see data/degradations.py
    )
    erase_probability: float = 0.5  # random erasing (Zhong et al., 2020, arXiv:1708.04896)
    erase_area: float = 0.2  # largest erased share of the image


@dataclasses.dataclass(frozen=True, kw_only=True)
class ResolutionConfig:
    """How large training faces are; see training/resolution.py."""

    start: int = FACE_SIZE  # pixels a side at the start of the run, a multiple of 8
    grow_over: float = 0.5  # share of the run after which they are 48


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """A whole run."""

    seed: int = 0
    # Passes over the training faces; 0: a number chosen for the data (see data/datasets.py).
    epochs: int = 0
    # Shipped names, workdirs or checkpoints to start from, separated by commas, of the same network or
    # one with fewer channels or blocks; several are averaged. Empty: random weights.
    start: str = ""
    batch_size: int = 64
    # Passes in which a step goes through its batch, adding up their gradients: a batch that does not fit
    # into memory does in parts. Batch norm sees the parts.
    accumulate: int = 1
    eval_batch_size: int = 256
    ema_decay: float = 0.999  # of the averaged weights that are evaluated and kept; 0: off
    # Recompute batch norm statistics for the evaluated weights before each validation, see
    # training/finishing.py.
    recalibrate: bool = False
    # Devices to shard a batch over. 0: all; on a CPU, one simulated device per core, in bfloat16 one.
    devices: int = 0
    best_by: Literal["loss", "uar", "accuracy"] = (
        "loss"  # validation metric that selects the best epoch
    )
    data: DataConfig = dataclasses.field(default_factory=DataConfig)
    model: ModelConfig = dataclasses.field(default_factory=ModelConfig)
    optim: OptimConfig = dataclasses.field(default_factory=OptimConfig)
    loss: LossConfig = dataclasses.field(default_factory=LossConfig)
    augment: AugmentConfig = dataclasses.field(default_factory=AugmentConfig)
    resolution: ResolutionConfig = dataclasses.field(default_factory=ResolutionConfig)


def default_config() -> config_dict.ConfigDict:
    """Returns every key with its default, for a configuration file to edit."""
    return to_config_dict(Config())


def to_dict(config: Config) -> dict[str, Any]:
    """Returns the configuration as nested plain values, as `config.json` holds it."""
    return dataclasses.asdict(config)


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Returns nested plain values by their dotted keys ("optim.learning_rate")."""
    out: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            out |= flat(value, f"{prefix}{key}.")
        else:
            out[prefix + key] = value
    return out


def from_config_dict(values: Mapping[str, Any]) -> Config:
    """Returns the checked, frozen configuration.

    Raises:
        ConfigError: a key that does not exist (the nearest is suggested), a value of the wrong type
            or out of range.
    """
    config = build(Config, values, unknown=unknown_key_message)
    _check_ranges(config)
    return config


def key_exists(key: str) -> bool:
    """Whether `key` ("optim.learning_rate", without "config.") can be set."""
    return key in all_keys(Config)


def unknown_key_message(key: str) -> str:
    """One line for a key that does not exist, with the nearest that does; `key` without "config."."""
    known = all_keys(Config)
    meant = {"lr": "learning_rate", "optim.lr": "optim.learning_rate"}.get(key, key)
    near = difflib.get_close_matches(meant, known, n=1, cutoff=0.5)
    if not near:
        last = key.rsplit(".", 1)[-1]
        near = [k for k in known if k.rsplit(".", 1)[-1] == last][:1]
    hint = (
        f"did you mean config.{near[0]}?" if near else "see fer_jax/config/schema.py for all keys"
    )
    return f"config.{key} does not exist: {hint}"


def _check_ranges(config: Config) -> None:
    require_range(
        config, at_least_one=("batch_size", "eval_batch_size", "accumulate"), shares=("ema_decay",)
    )
    require_range(config, not_negative=("seed", "epochs", "devices"))
    if config.batch_size % config.accumulate:
        raise ConfigError(
            f"config.accumulate={config.accumulate}: does not divide "
            f"config.batch_size={config.batch_size}; take a divisor"
        )
    if config.seed >= 2**32:
        raise ConfigError(f"config.seed={config.seed}: expected less than 2**32")
    require_range(
        config.data,
        prefix="data.",
        at_least_one=("synthetic_train", "synthetic_validation"),
    )
    require_range(config.model, prefix="model.", shares=("dropout",))
    require_range(
        config.optim,
        prefix="optim.",
        not_negative=("weight_decay", "clip_norm", "warmup_epochs", "reference_batch"),
        shares=("momentum", "muon_momentum", "anneal_fraction"),
        positive=("learning_rate", "muon_factor"),
    )
    require_range(
        config.optim.plateau,
        prefix="optim.plateau.",
        at_least_one=("patience",),
        not_negative=("cooldown",),
        shares=("rtol", "min_scale"),
        positive=("factor", "rtol"),
    )
    if config.optim.plateau.factor >= 1:
        raise ConfigError(
            f"config.optim.plateau.factor={config.optim.plateau.factor}: expected less than 1"
        )
    require_range(
        config.loss,
        prefix="loss.",
        shares=("label_smoothing", "teacher_share", "logit_adjustment"),
        not_negative=("mixup", "cutmix"),
        positive=("logit_adjustment_below",),
    )
    require_range(
        config.augment,
        prefix="augment.",
        not_negative=("rotate_degrees", "gamma"),
        shares=("scale", "shear", "translate", "erase_area"),
    )
    for name in ("erase_probability", "camera"):
        if not 0 <= getattr(config.augment, name) <= 1:
            raise ConfigError(
                f"config.augment.{name}={getattr(config.augment, name)}: expected 0 to 1"
            )
    _check_resolution(config)
    _check_model(config.model.name)


def _check_model(name: str) -> None:
    from fer_jax.models import MODELS  # JAX: checked last, so that no other mistake waits for it

    if name in MODELS:
        return
    near = difflib.get_close_matches(name, MODELS, n=1)
    hint = f"did you mean {near[0]}?" if near else f"expected one of {', '.join(MODELS)}"
    raise ConfigError(f"config.model.name={name!r} is not a known network: {hint}")


def _check_resolution(config: Config) -> None:
    start = config.resolution.start
    if start not in range(24, FACE_SIZE + 1, 8):
        raise ConfigError(f"config.resolution.start={start}: expected 24, 32, 40 or {FACE_SIZE}")
    require_range(config.resolution, prefix="resolution.", shares=("grow_over",))
    if start < FACE_SIZE and config.model.name == "seed_cnn":
        raise ConfigError(
            f"config.resolution.start={start}: seed_cnn takes faces of {FACE_SIZE} pixels only; "
            f"add --config.resolution.start={FACE_SIZE}"
        )
