"""A training session: opens the data, trains and reports, or stops when asked to."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from jax.sharding import Mesh

from fer_jax.command import speaker
from fer_jax.config import Config, to_dict
from fer_jax.data import datasets
from fer_jax.errors import ConfigError
from fer_jax.evaluation import plots
from fer_jax.faces.preprocess import FACE_SIZE
from fer_jax.machine import cluster, sharding
from fer_jax.machine.files import read_rows, write_json
from fer_jax.machine.terminal import printable
from fer_jax.saved_model import Variables, load_models
from fer_jax.training import loop, workdir
from fer_jax.training.batch_rule import fitted_to_batch
from fer_jax.training.checkpoint import Checkpoints
from fer_jax.training.distillation import teacher_targets
from fer_jax.training.host import set_up_host
from fer_jax.training.outcome import write_outcome
from fer_jax.training.profiling import profiled
from fer_jax.training.program import Program, assemble
from fer_jax.training.progress import Silence, TrainingProgress
from fer_jax.training.resuming import initial_state
from fer_jax.training.starting import load_start
from fer_jax.training.state import TrainState
from fer_jax.training.stopping import SharedStop, StopSignal
from fer_jax.training.summary import SYNTHETIC_BANNER, summary

_STOP_LAG = 2  # steps, as many as are in flight


def run_training(
    config: Config,
    folder: Path,
    *,
    resume: bool,
    profile: Path | None,
    quiet: bool,
    command_line: str,
    place: cluster.Membership | None = None,
    search_for_cluster: bool = False,
) -> int:
    """Trains until the end or a signal and returns the exit code: 0, or 130 or 143 if it was stopped.

    Args:
        config: the checked settings.
        folder: of the run.
        resume: continue the run in it, if there is one; otherwise remove that run.
        profile: where a trace of ten steps goes; None writes none.
        quiet: print nothing.
        command_line: for the run's card.
        place: of this process among those that train together; None: the environment knows it.
        search_for_cluster: whether to ask the environment for it.

    Raises:
        FerError: no data, or a folder that cannot be used.
    """
    # Two simulated devices are faster than one in float32, where a convolution leaves a core idle.
    single = config.model.dtype == "bfloat16"
    set_up_host(devices=config.devices or int(single))
    with cluster.joined(place, search=search_for_cluster):
        return _run(
            config,
            folder,
            resume=resume,
            profile=profile,
            quiet=quiet or not cluster.is_first(),
            command_line=command_line,
        )


def _run(
    config: Config,
    folder: Path,
    *,
    resume: bool,
    profile: Path | None,
    quiet: bool,
    command_line: str,
) -> int:
    say = speaker(quiet=quiet)
    mesh = sharding.data_mesh(
        devices=config.devices, batch_size=config.batch_size, accumulate=config.accumulate
    )
    dataset, config = _open_data(config, say=say)
    with StopSignal() as received, workdir.locked(folder):
        stop = SharedStop(received, mesh, lag=0 if config.data.on_device else _STOP_LAG)
        run = _assemble(config, dataset, folder, mesh=mesh)
        cluster.check_alike(json.dumps(run.about), what="settings or faces")
        if cluster.is_first() and not resume:
            workdir.clear(folder)
        cluster.check_shared(folder)
        with Checkpoints(folder, best_by=config.best_by) as checkpoints:
            state = _begin(run, checkpoints, say=say)
            with profiled(profile, on_device=config.data.on_device) as before_step:
                finished = _train(
                    run, state, checkpoints, stop=stop, before_step=before_step, quiet=quiet
                )
            best = checkpoints.best_step()
        if not finished:
            return 128 + stop.received
        write_outcome(
            run.program,
            folder,
            best=best,
            data_card=dataset.card,
            command_line=command_line,
            lineage=run.lineage,
            say=say,
        )
    return 0


class _Run(NamedTuple):
    """What a run does, on what, and where.

    Attributes:
        program: its plan and steps.
        dataset: its faces.
        folder: its workdir.
        lineage: digests of the networks that it starts or learns from, as `reports.card` takes them.
        about: the description that goes into each checkpoint.
    """

    program: Program
    dataset: datasets.Dataset
    folder: Path
    lineage: Mapping[str, str | None]
    about: dict[str, Any]


def _open_data(config: Config, *, say: Callable[[str], None]) -> tuple[datasets.Dataset, Config]:
    """The faces, and the settings as they are carried out: with the number of epochs for these faces."""
    dataset = datasets.open_dataset(config.data, seed=config.seed)
    if config.data.name == "auto" and dataset.name == "synthetic":
        say(SYNTHETIC_BANNER.format(place=f"{datasets.DEFAULT_DIR}/"))
    count = len(dataset.splits["train"])
    if config.batch_size > count:
        raise ConfigError(
            f"config.batch_size={config.batch_size}: a step would take every face more than once; "
            f"there are {count} to train on, take at most that many"
        )
    config = dataclasses.replace(config, epochs=config.epochs or dataset.suggested_epochs)
    return dataset, fitted_to_batch(config)


def _assemble(config: Config, dataset: datasets.Dataset, folder: Path, *, mesh: Mesh) -> _Run:
    """Reads the networks that the run builds on, and puts its program together."""
    train = dataset.splits["train"]
    teachers = load_models(config.loss.teacher)
    start = load_start(config)
    program = assemble(
        config,
        train=train,
        validation=dataset.splits["validation"],
        mesh=mesh,
        taught=teacher_targets(teachers, train) if teachers else None,
        start=None if start is None else start.variables,
    )
    lineage = {
        "start": None if start is None else ",".join(start.digests),
        "teacher": ",".join(sorted(network.digest for network in teachers)) or None,
    }
    about = {
        "config": to_dict(program.plan.config),
        "training_faces": program.plan.train.digest(),
        "devices": mesh.size,
        **lineage,
    }
    return _Run(program, dataset, folder, lineage, about)


def _begin(run: _Run, checkpoints: Checkpoints, *, say: Callable[[str], None]) -> TrainState:
    """Returns the state to start from; writes the settings and prints a summary."""
    plan, steps = run.program
    state = initial_state(steps, checkpoints, run.folder, about=run.about, say=say)
    say(summary(run.program, state, run.dataset, run.folder))
    if cluster.is_first():
        write_json(run.folder / "config.json", to_dict(plan.config))
        if int(state.step) < plan.total_steps:
            workdir.clear_reports(run.folder)
    return state


def _train(
    run: _Run,
    state: TrainState,
    checkpoints: Checkpoints,
    *,
    stop: SharedStop,
    before_step: Callable[[int], None],
    quiet: bool,
) -> bool:
    """Trains to the end, or until a signal asks to stop, which returns False; all is saved."""
    about = run.about

    def save(state: TrainState, row: dict[str, Any], kept: Variables) -> None:
        figures = {name: row[f"validation_{name}"] for name in ("loss", "uar", "accuracy")}
        whole = row["face_size"] == FACE_SIZE  # on smaller faces, figures are of another network
        checkpoints.save(state, kept, about=about, metrics=figures if whole else None)

    with _reporter(run, quiet=quiet) as reporter:
        try:
            state = loop.run(
                run.program,
                state,
                reporter=reporter,
                save=save,
                should_stop=stop,
                before_step=before_step,
            )
        except loop.RunInterrupted as interrupted:
            state = interrupted.state
            checkpoints.save(state, state.evaluated, about=about, metrics=None)
            checkpoints.wait()
            reporter.say(
                f"stopped at step {int(state.step)}, all saved in {printable(run.folder)}; "
                "the same command resumes"
            )
            return False
        finally:
            if cluster.is_first():
                _draw_history(run.folder)
        if bool(state.ran_out):
            reporter.say("stopped early: the validation loss no longer improves at the lowest rate")
        checkpoints.wait()
    return True


def _reporter(run: _Run, *, quiet: bool) -> TrainingProgress | Silence:
    if not cluster.is_first():
        return Silence()
    plan = run.program.plan
    return TrainingProgress(
        run.folder,
        total_steps=plan.total_steps,
        epochs=plan.config.epochs,
        batch_size=plan.config.batch_size,
        quiet=quiet,
    )


def _draw_history(folder: Path) -> None:
    rows = read_rows(folder / workdir.HISTORY)
    if rows:
        plots.history(rows, folder / "history.png", best_epoch=None)
