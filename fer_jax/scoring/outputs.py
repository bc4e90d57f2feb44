"""Checks a run's outputs before it starts: all can be written, differ, and are not inputs."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from fer_jax.errors import FerError
from fer_jax.machine.outputs import check_distinct, same_file, try_file, try_folder
from fer_jax.machine.terminal import printable
from fer_jax.scoring.writers import check_output


def check_outputs(
    inputs: Sequence[str], *, out: Path, summary: Path | None, annotate: Path | None
) -> None:
    """Tries every output; creates the folder `annotate`.

    Args:
        inputs: as named by the user.
        out: file of rows.
        summary: file of the summary page.
        annotate: folder of annotated copies.

    Raises:
        FerError: an output cannot be written, equals another or an input, or would contain inputs.
    """
    files = {"--out": out} | ({} if summary is None else {"--summary": summary})
    check_distinct(files)
    for flag, path in files.items():
        for text in inputs:
            if same_file(path, Path(text)):
                raise FerError(
                    f"{flag} {printable(path)}: is an input and would be lost; name another file"
                )
    if annotate is not None:
        _check_apart(annotate, inputs)
    check_output(out)
    if summary is not None:
        try_file(summary, flag="--summary")
    if annotate is not None:
        try_folder(annotate, flag="--annotate")


def _check_apart(annotate: Path, inputs: Sequence[str]) -> None:
    """Refuses copies that would become or replace inputs."""
    folder, shown = Path(os.path.realpath(annotate)), f"--annotate {printable(annotate)}"
    for text in inputs:
        path = Path(os.path.realpath(text))
        if os.path.isdir(path) and (folder == path or path in folder.parents):
            raise FerError(
                f"{shown}: lies in the input {printable(text)}, where the copies would be inputs "
                "themselves; name a folder outside of it"
            )
        if os.path.exists(path) and folder in path.parents:
            raise FerError(
                f"{shown}: holds the input {printable(text)}, which its copy could replace; "
                "name another folder"
            )
