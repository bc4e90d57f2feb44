"""Shows a run's progress: a live line on a terminal, one plain line per epoch elsewhere.

Times go to timing.jsonl, because the history is the same to the bit for every run of a configuration.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from fer_jax.machine.files import append_row
from fer_jax.training import workdir as files


class Silence:
    """What reports a run in the processes that neither print nor write. A context manager."""

    def __enter__(self) -> Silence:
        return self

    def __exit__(self, *exception: object) -> None:
        pass

    def say(self, line: str) -> None:
        """Prints nothing."""

    def step(self, *, epoch: int, step: int, loss: float, learning_rate: float) -> None:
        """Shows nothing."""

    def epoch(self, row: dict[str, Any]) -> None:
        """Records nothing."""


class TrainingProgress:
    """Shows a run's steps and epochs and writes its history. A context manager."""

    def __init__(
        self,
        folder: Path,
        *,
        total_steps: int,
        epochs: int,
        batch_size: int,
        quiet: bool = False,
    ) -> None:
        """Reports a run of `total_steps` steps in `epochs` epochs with the workdir `folder`.

        `quiet` shows nothing.
        """
        self._folder = folder
        self._epochs = epochs
        self._batch_size = batch_size
        self._console = Console(file=sys.stdout, highlight=False, quiet=quiet)
        self._bar = Progress(
            TextColumn("epoch {task.fields[epoch]}/" + str(epochs)),
            BarColumn(),
            TextColumn(
                "{task.fields[speed]:.0f} images/s  loss {task.fields[loss]:.3f}  "
                "val acc {task.fields[accuracy]}  lr {task.fields[rate]:.2g}  left"
            ),
            TimeRemainingColumn(),
            console=self._console,
            disable=not self._console.is_terminal,
            transient=True,
        )
        self._task = self._bar.add_task(
            "", total=total_steps, epoch=0, speed=0.0, loss=0.0, accuracy="-", rate=0.0
        )
        self._loss: float | None = None
        self._start_epoch()

    def __enter__(self) -> TrainingProgress:
        self._bar.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._bar.stop()

    def say(self, line: str) -> None:
        """Prints one line above the live one."""
        self._console.print(line, markup=False, soft_wrap=True)

    def step(self, *, epoch: int, step: int, loss: float, learning_rate: float) -> None:
        """Advances the live line."""
        self._images += self._batch_size
        self._trained_until = time.monotonic()
        self._loss = loss if self._loss is None else 0.95 * self._loss + 0.05 * loss
        self._bar.update(
            self._task,
            completed=step,
            epoch=epoch,
            loss=self._loss,
            rate=learning_rate,
            speed=self._speed(),
        )

    def epoch(self, row: dict[str, Any]) -> None:
        """Records the epoch and prints its line."""
        seconds, cpu = time.monotonic() - self._started, time.process_time() - self._cpu
        timing = {
            "epoch": row["epoch"],
            "step": row["step"],
            "seconds": round(seconds, 3),
            "cpu_seconds": round(cpu, 3),
            "images_per_second": round(self._speed(), 1),
        }
        append_row(self._folder / files.TIMING, timing)
        append_row(self._folder / files.HISTORY, row)
        self._bar.update(self._task, accuracy=f"{row['validation_accuracy']:.1%}")
        trained = (
            f"train loss {row['train_loss']:.3f} acc {row['train_accuracy']:.1%}"
            if row["epoch"]
            else "the initial weights"
        )
        self.say(
            f"epoch {row['epoch']:>3}/{self._epochs}  {trained}  "
            f"validation loss {row['validation_loss']:.3f} acc {row['validation_accuracy']:.1%} "
            f"uar {row['validation_uar']:.1%}  lr {row['learning_rate']:.2g}  "
            f"{self._speed():.0f} images/s  {seconds:.0f} s"
        )
        self._start_epoch()

    def _start_epoch(self) -> None:
        self._started, self._cpu, self._images = time.monotonic(), time.process_time(), 0
        self._trained_until = self._started

    def _speed(self) -> float:
        """Training images per second of this epoch, without validation."""
        return self._images / max(self._trained_until - self._started, 1e-9)
