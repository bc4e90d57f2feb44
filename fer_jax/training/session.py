"""A training session: opens the data, trains and reports, or stops when asked to."""

from __future__ import annotations

import dataclasses
import signal
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import jax

from fer_jax.command import speaker
from fer_jax.config import Config, flat, to_dict
from fer_jax.data import datasets
from fer_jax.data.processing import sentence
from fer_jax.errors import ConfigError, TrainingError
from fer_jax.evaluation import plots
from fer_jax.faces.preprocess import FACE_SIZE
from fer_jax.machine import sharding
from fer_jax.machine.files import read_rows, write_json
from fer_jax.machine.terminal import printable
from fer_jax.saved_model import Variables, load_models, parameter_count
from fer_jax.training import loop, workdir
from fer_jax.training.checkpoint import Checkpoints
from fer_jax.training.distillation import teacher_targets
from fer_jax.training.host import set_up_host
from fer_jax.training.outcome import write_outcome
from fer_jax.training.profiling import profiled
from fer_jax.training.program import Program, Steps, assemble
from fer_jax.training.progress import TrainingProgress
from fer_jax.training.starting import load_start
from fer_jax.training.state import TrainState

_SYNTHETIC_BANNER = """\
+--------------------------------------------------------------------------------------------+
|  No faces were found in {place:<67}|
|  Training on SYNTHETIC faces: good to see that everything runs, useless on real people.    |
|  For real ones, put FER2013 (fer2013.csv, its .zip, or train/ and test/ folders) into      |
|  data/, or name its place with --config.data.dir=DIR or $FER_DATA_DIR. See README.md.      |
+--------------------------------------------------------------------------------------------+"""

# What may differ between a run and its continuation; anything else would make its card a lie.
_FREE_KEYS = ("epochs", "eval_batch_size", "devices", "best_by")
_FREE_KEYS += ("data.dir", "data.name", "data.on_error", "loss.teacher", "start")  # by content


def run_training(
    config: Config,
    folder: Path,
    *,
    resume: bool,
    profile: Path | None,
    quiet: bool,
    command_line: str,
) -> int:
    """Trains until the end or a signal and returns the exit code: 0, or 130 or 143 if it was stopped.

    Args:
        config: the checked settings.
        folder: of the run.
        resume: continue the run in it, if there is one; otherwise remove that run.
        profile: where a trace of ten steps goes; None writes none.
        quiet: print nothing.
        command_line: for the run's card.

    Raises:
        FerError: no data, or a folder that cannot be used.
    """
    say = speaker(quiet=quiet)
    set_up_host(devices=config.devices)
    mesh = sharding.data_mesh(devices=config.devices, batch_size=config.batch_size)

    # ---- data
    dataset = datasets.open_dataset(config.data, seed=config.seed)
    if config.data.name == "auto" and dataset.name == "synthetic":
        say(_SYNTHETIC_BANNER.format(place=f"{datasets.DEFAULT_DIR}/"))
    config = dataclasses.replace(config, epochs=config.epochs or dataset.suggested_epochs)
    train, validation = dataset.splits["train"], dataset.splits["validation"]
    if config.batch_size > len(train):
        raise ConfigError(
            f"config.batch_size={config.batch_size}: a step would take every face more than once; "
            f"there are {len(train)} to train on, take at most that many"
        )

    with workdir.locked(folder), _StopSignal() as stop:
        # ---- program and state
        teachers = load_models(config.loss.teacher)
        start = load_start(config)
        lineage = {
            "start": None if start is None else ",".join(start.digests),
            "teacher": ",".join(sorted(network.digest for network in teachers)) or None,
        }
        program = assemble(
            config,
            train=train,
            validation=validation,
            mesh=mesh,
            taught=teacher_targets(teachers, train) if teachers else None,
            start=None if start is None else start.variables,
        )
        about = {
            "config": to_dict(config),
            "training_faces": train.digest(),
            "devices": mesh.size,
            **lineage,
        }
        if not resume:
            workdir.clear(folder)
        with Checkpoints(folder, best_by=config.best_by) as checkpoints:
            state = _initial_state(program.steps, checkpoints, folder, about=about, say=say)
            write_json(folder / "config.json", to_dict(config))
            say(_summary(program, state, dataset, folder))

            # ---- train
            with profiled(profile) as before_step:
                finished = _train(
                    program,
                    state,
                    checkpoints,
                    folder,
                    about=about,
                    stop=stop,
                    before_step=before_step,
                    quiet=quiet,
                )
            best = checkpoints.best_step()
        if not finished:
            return 128 + stop.received

        # ---- report
        write_outcome(
            program,
            folder,
            best=best,
            data_card=dataset.card,
            command_line=command_line,
            lineage=lineage,
            say=say,
        )
    return 0


class _StopSignal:
    """Turns SIGTERM and the first Ctrl-C into a request to stop; a second Ctrl-C has its default effect.

    A second SIGTERM does not: make and timeout send it to a process and to its group.
    """

    def __init__(self) -> None:
        self.received = 0

    def __enter__(self) -> _StopSignal:
        self._before = {s: signal.signal(s, self._note) for s in (signal.SIGTERM, signal.SIGINT)}
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        del frame
        self.received = number
        if number == signal.SIGINT:
            signal.signal(number, self._before[signal.SIGINT])


def _initial_state(
    steps: Steps,
    checkpoints: Checkpoints,
    folder: Path,
    *,
    about: dict[str, Any],
    say: Callable[[str], None],
) -> TrainState:
    """The state to go on from: the newest checkpoint's, or a fresh one; trims the history to it."""
    step = checkpoints.latest_step()
    if step is not None:
        _check_same_run(checkpoints.about(step), about, folder, say=say)
        shapes = jax.eval_shape(steps.init)
        everywhere = sharding.replicated(steps.mesh)
        like = jax.tree.map(
            lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=everywhere), shapes
        )
        state = checkpoints.restore(step, like)
    else:
        state = steps.init()
    for name in (workdir.HISTORY, workdir.TIMING):
        workdir.keep_rows_until(folder / name, step or -1)  # epoch 0 is then told again, too
    return state


def _check_same_run(
    saved: dict[str, Any], wanted: dict[str, Any], folder: Path, *, say: Callable[[str], None]
) -> None:
    what_to_do = "name another --workdir, or start over with --noresume"
    if saved.get("training_faces") != wanted["training_faces"]:
        raise TrainingError(
            f"{folder}: holds a run on other training faces; {what_to_do} "
            "(make train ARGS=--noresume)"
        )
    if saved.get("teacher") != wanted["teacher"]:
        raise TrainingError(f"{folder}: holds a run with another teacher; {what_to_do}")
    if saved.get("start") != wanted["start"]:
        raise TrainingError(f"{folder}: holds a run that started elsewhere; {what_to_do}")
    # A setting that did not exist when the run started had its default.
    was = flat(to_dict(Config())) | flat(saved["config"])
    now = flat(wanted["config"])
    for key in sorted(was.keys() | now.keys()):
        if was.get(key) != now.get(key) and key not in _FREE_KEYS:
            raise TrainingError(
                f"{folder}: holds a run with config.{key}={was.get(key)}, this one has "
                f"{now.get(key)}; {what_to_do}"
            )
    if saved["devices"] != wanted["devices"]:
        say(
            f"note: the run started on {saved['devices']} device(s) and is resuming on "
            f"{wanted['devices']}: its last digits will differ from one that never moved"
        )


def _summary(program: Program, state: TrainState, dataset: datasets.Dataset, folder: Path) -> str:
    plan, steps = program
    config, step = plan.config, int(state.step)
    lines = [
        f"{config.model.name}: {parameter_count(state.variables):,} parameters on "
        f"{steps.mesh.size} {jax.default_backend()} device(s)",
        f"{dataset.name}: {len(plan.train):,} faces to train on, "
        f"{len(plan.validation):,} to validate on"
        + (
            f"; left out of training: {left:,} the audit lists"
            if (left := _left_out(dataset))
            else ""
        )
        + (
            f"; skipped: {skipped:,} unreadable"
            if (skipped := len(dataset.card["skipped"]))
            else ""
        ),
        *dataset.remarks,
        *_processing_line(dataset),
        f"{config.epochs} epochs, {plan.total_steps:,} steps of {config.batch_size}, "
        f"in {printable(folder)}",
    ]
    if step:
        lines.append(f"resumed at step {step:,}")
    return "\n".join(lines)


def _processing_line(dataset: datasets.Dataset) -> list[str]:
    found = dataset.card.get("processing")  # synthetic faces have none
    return [] if found is None else [f"processing: {sentence(found)}"]


def _left_out(dataset: datasets.Dataset) -> int:
    return sum(dataset.card.get("audit", {}).get("excluded", {}).values())


def _train(
    program: Program,
    state: TrainState,
    checkpoints: Checkpoints,
    folder: Path,
    *,
    about: dict[str, Any],
    stop: _StopSignal,
    before_step: Callable[[int], None],
    quiet: bool,
) -> bool:
    """Trains to the end, or until a signal asks to stop, which returns False; all is saved."""
    plan = program.plan
    if int(state.step) < plan.total_steps:
        workdir.clear_reports(folder)

    def save(state: TrainState, row: dict[str, Any], kept: Variables) -> None:
        figures = {name: row[f"validation_{name}"] for name in ("loss", "uar", "accuracy")}
        whole = row["face_size"] == FACE_SIZE  # on smaller faces, figures are of another network
        checkpoints.save(state, kept, about=about, metrics=figures if whole else None)

    reporter = TrainingProgress(
        folder,
        total_steps=plan.total_steps,
        epochs=plan.config.epochs,
        batch_size=plan.config.batch_size,
        quiet=quiet,
    )
    with reporter:
        try:
            state = loop.run(
                program,
                state,
                reporter=reporter,
                save=save,
                should_stop=lambda: stop.received != 0,
                before_step=before_step,
            )
        except loop.RunInterrupted as interrupted:
            state = interrupted.state
            checkpoints.save(state, state.evaluated, about=about, metrics=None)
            checkpoints.wait()
            step = int(state.step)
            reporter.say(
                f"stopped at step {step}, all saved in {printable(folder)}; the same command resumes"
            )
            return False
        finally:
            rows = read_rows(folder / workdir.HISTORY)
            if rows:
                plots.history(rows, folder / "history.png", best_epoch=None)
        if bool(state.ran_out):
            reporter.say("stopped early: the validation loss no longer improves at the lowest rate")
        checkpoints.wait()
    return True
