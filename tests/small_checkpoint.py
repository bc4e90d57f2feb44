"""A real workdir in a second: random weights, saved and described like those of a finished run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import numpy as np

from fer_jax import models
from fer_jax.config import to_dict
from fer_jax.evaluation import reports
from fer_jax.expressions import EXPRESSIONS
from fer_jax.machine.files import write_json
from fer_jax.models.probabilities import softmax
from fer_jax.training import optim, state
from fer_jax.training.checkpoint import Checkpoints
from tests.factories import short_config

STEP = 7


def random_variables(model: nn.Module, *, seed: int = 0) -> dict[str, Any]:
    """Variables of `model` with non-trivial norms, made without compiling."""
    rng = np.random.default_rng(seed)
    example = jax.ShapeDtypeStruct((1, 48, 48, 1), np.float32)
    shapes = jax.eval_shape(lambda x: model.init(jax.random.key(0), x, train=False), example)

    def drawn(path: Any, leaf: jax.ShapeDtypeStruct) -> np.ndarray:
        name = path[-1].key
        if name == "kernel":
            values = rng.normal(0, np.sqrt(1 / np.prod(leaf.shape[:-1])), leaf.shape)
        elif name in ("scale", "var"):
            values = rng.uniform(0.5, 1.5, leaf.shape)
        else:
            values = rng.normal(0, 0.2, leaf.shape)
        return values.astype(leaf.dtype)

    return jax.tree_util.tree_map_with_path(drawn, dict(shapes))


def write_workdir(
    folder: Path, *, dataset: str = "folder", card: bool = True, **config_changes: Any
) -> Path:
    """Fills `folder` like a finished run of one checkpoint and returns it.

    Args:
        folder: the workdir to create.
        dataset: its name in the card; "synthetic" for a run that may not be released.
        card: False for an unfinished run.
        config_changes: arguments of `short_config`.
    """
    config = short_config(**config_changes)
    model = models.build(config.model.name, dtype=config.model.dtype)
    shapes = jax.eval_shape(
        lambda key: state.create(
            key,
            model=model,
            optimizer=optim.optimizer(config.optim, lambda step: 1e-3),
            plateau=optim.plateau(config.optim.plateau),
            ema=False,
        ),
        jax.random.key(0),
    )
    variables = random_variables(model, seed=config.seed)
    zeros = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), shapes)
    saved = zeros.replace(step=np.int32(STEP), variables=variables)
    with Checkpoints(folder, best_by="loss") as checkpoints:
        figures = {"loss": 1.0, "uar": 0.5, "accuracy": 0.5}
        checkpoints.save(saved, saved.evaluated, about={"config": to_dict(config)}, metrics=figures)
    if card:
        rng = np.random.default_rng(0)
        logits, labels = rng.normal(size=(2, 40, 7)).astype(np.float32), rng.integers(0, 7, 40)
        report = reports.split_report(
            split="validation", logits=logits[0], flipped=logits[1], labels=labels
        )
        write_json(folder / "report.json", report)
        made = reports.card(
            config=config,
            dataset={
                "name": dataset,
                "counts": {
                    split: dict.fromkeys(EXPRESSIONS, 9) for split in ("train", "validation")
                },
                "audit": {"found": {}, "excluded": {}},
            },
            command=f"python -m fer_jax.train --config configs/base.py --workdir {folder}",
            variables=variables,
            step=STEP,
            epoch=1,
            report=report,
            temperature=1.7,
            uncertain_below=0.3,
            calibrated=reports.calibrated_figures(softmax(logits[0]), labels, uncertain_below=0.3),
        )
        write_json(folder / "card.json", made)
    return folder
