"""One scoring run from inputs to output: the pipeline's views become rows, images and a summary."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import cv2

from fer_jax.errors import OutputError
from fer_jax.faces.detect import Detector, DetectSize
from fer_jax.machine.files import write_bytes
from fer_jax.machine.terminal import printable
from fer_jax.media.video_decoder import video_decoder
from fer_jax.scoring.accounting import Accountant
from fer_jax.scoring.gallery import Portraits
from fer_jax.scoring.journal import Journal
from fer_jax.scoring.pipeline import ScoringPipeline
from fer_jax.scoring.progress import ScoringProgress
from fer_jax.scoring.rows import Row, Status
from fer_jax.scoring.shards import opened_shards, path_of
from fer_jax.scoring.stages import Stages
from fer_jax.scoring.summary import Summary
from fer_jax.scoring.views import View, views

if TYPE_CHECKING:
    from fer_jax.inference.predictor import Predictor
    from fer_jax.scoring.annotate import Annotator


@dataclasses.dataclass(frozen=True, kw_only=True)
class ScoringOptions:
    """What a run does.

    Attributes:
        out: the file of rows; its ending is its format.
        resume: keep what an interrupted run, or `out`, holds and score what is missing.
        detector: one of `faces.detect.DETECTORS`.
        detect_size: of the longer side in pixels, or "full".
        every, fps: which frames of a video are analysed; see `media.video.VideoReader`.
        first_frame: of an animation or several pages, analyse only the first.
        rotate: find faces in images turned by quarters as well.
        max_pixels: the most that an image may have.
        batch_size: faces that are recognised together.
        annotate: folder for annotated copies.
        parent: of all inputs, absolute; the copies lie below `annotate` as the inputs below it.
        summary: file for the summary page.
        safe_csv: no text in a .csv reads like a formula.
        temporary: `out` goes after the run, so that no later run can resume it.
    """

    out: Path
    resume: bool
    detector: str
    detect_size: DetectSize
    every: int
    fps: float | None
    max_pixels: int
    batch_size: int
    first_frame: bool = False
    rotate: bool = False
    annotate: Path | None = None
    parent: Path = Path("/")
    summary: Path | None = None
    safe_csv: bool = False
    temporary: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a run, with the interrupted ones that it continued, has done.

    Attributes:
        inputs: how many, by status.
        faces: how many were found.
        scored_now: inputs of this run only.
        faces_now: faces of this run only.
        kept_unreadable: unreadable inputs among rows that are kept and not counted in `inputs`.
    """

    inputs: dict[Status, int]
    faces: int
    scored_now: int
    faces_now: int
    kept_unreadable: int


def run(
    paths: Iterable[Path],
    predictor: Predictor,
    detector: Detector,
    settings: ScoringOptions,
    reporter: ScoringProgress,
) -> Outcome:
    """Scores `paths` in order; stopped by an exception, it keeps what is finished for `resume`.

    Args:
        paths: of images and videos.
        predictor: the network.
        detector: that `settings` describes.
        settings: with an output that `writers.check_output` accepts.
        reporter: sees progress and unreadable inputs.

    Raises:
        FerError: an output that cannot be written or resumed.
    """
    cv2.setNumThreads(1)  # there is a thread for each core
    with contextlib.ExitStack() as stack:
        journal = stack.enter_context(
            Journal(settings.out, _options(predictor, settings), resume=settings.resume)
        )
        before = sum(journal.inputs.values()), journal.faces
        _say_what_is_kept(journal, settings, reporter)
        todo = (one for one in opened_shards(paths) if not journal.finished.take(path_of(one)))
        videos = stack.enter_context(video_decoder(settings.max_pixels))
        source = views(
            todo,
            partial(videos.opened, every=settings.every, fps=settings.fps),
            first_frame=settings.first_frame,
        )
        annotator = _annotator(predictor, settings, reporter)
        if annotator is not None:
            stack.enter_context(annotator)
        recorder = _Recorder(journal, settings, annotator, reporter)
        try:
            with ScoringPipeline(source, _stages(predictor, detector, settings)) as pipeline:
                for ready in pipeline:
                    for view in ready:
                        recorder.add(view)
                    journal.flush()
            _deliver(journal, settings)
        except OutputError as error:
            if settings.temporary:
                raise
            raise OutputError(f"{error}; --resume continues from the finished rows") from error
        scored = sum(journal.inputs.values())
        return Outcome(
            inputs=dict(journal.inputs),
            faces=journal.faces,
            scored_now=scored - before[0],
            faces_now=journal.faces - before[1],
            kept_unreadable=journal.kept_unreadable,
        )


def _deliver(journal: Journal, settings: ScoringOptions) -> None:
    """Writes the rows, then the summary page, whose failure must not cost the rows."""
    page = None if settings.summary is None else _summary_page(journal, settings.out)
    journal.deliver(safe_csv=settings.safe_csv)
    if settings.summary is not None and page is not None:
        try:
            write_bytes(settings.summary, page.encode())
        except OutputError as error:
            if settings.temporary:
                raise
            raise OutputError(
                f"{error}; {printable(settings.out)} is complete, the page is left to do"
            ) from error
    journal.remove()


class _Recorder:
    """Takes the views in order and writes down what they say."""

    def __init__(
        self,
        journal: Journal,
        settings: ScoringOptions,
        annotator: Annotator | None,
        reporter: ScoringProgress,
    ) -> None:
        self._journal, self._reporter = journal, reporter
        self._already = sum(journal.inputs.values()), journal.faces
        self._accountant = Accountant()
        self._portraits = Portraits() if settings.summary else None
        self._annotator = annotator

    def add(self, view: View) -> None:
        rows = self._accountant.rows(view)
        for n, row in enumerate(rows):
            self._journal.write(row, image=self._image(row, view, n))
            if row.status in ("unreadable", "note"):
                self._reporter.note(f"{row.status}: {row.path}: {row.error}")
        if self._annotator is not None:
            self._annotator.add(view, rows)
        if view.ends_input:
            self._journal.close_input(view.path, self._accountant.status)
        self._reporter.show(
            files=sum(self._journal.inputs.values()) - self._already[0],
            faces=self._journal.faces - self._already[1],
            share=0.0 if view.ends_input else view.share,
        )

    def _image(self, row: Row, view: View, number: int) -> str | None:
        if self._portraits is None or row.status != "ok":
            return None
        image = view.faces[number].image
        if image is None or not self._portraits.wants(row):
            return None
        return base64.b64encode(image).decode()


def _stages(predictor: Predictor, detector: Detector, settings: ScoringOptions) -> Stages:
    return Stages(
        detector=detector,
        recognise=predictor,
        batch_size=settings.batch_size,
        max_pixels=settings.max_pixels,
        images=settings.summary is not None,
        rotate=settings.rotate,
    )


def _annotator(
    predictor: Predictor, settings: ScoringOptions, reporter: ScoringProgress
) -> Annotator | None:
    if settings.annotate is None:
        return None
    from fer_jax.scoring.annotate import Annotator  # its text needs matplotlib, slow to load

    return Annotator(
        settings.annotate,
        parent=settings.parent,
        every=settings.every,
        fps=settings.fps,
        max_pixels=settings.max_pixels,
        uncertain_below=predictor.uncertain_below,
        say=lambda line: reporter.note(f"note: {line}"),
    )


def _options(predictor: Predictor, settings: ScoringOptions) -> dict[str, str | int | float | None]:
    """What rows depend on: a run with others is not continued."""
    return {
        "checkpoint": predictor.saved.digest,
        "detector": settings.detector,
        "detect-size": settings.detect_size,
        "every": settings.every,
        "fps": settings.fps,
        "first-frame": settings.first_frame,
        "rotate": "auto" if settings.rotate else "off",
        "max-pixels": settings.max_pixels,
    }


def _say_what_is_kept(
    journal: Journal, settings: ScoringOptions, reporter: ScoringProgress
) -> None:
    out = printable(settings.out)
    if journal.continued == "interrupted":
        files = sum(journal.inputs.values())
        reporter.say(f"{out}: {files:,} files are already finished; resuming")
    elif journal.continued == "finished":
        reporter.say(f"{out}: keeping its rows; only inputs that are not in it are scored")
    elif journal.discarded:
        reporter.say(
            f"{out}: starting over; an interrupted run is dropped (--resume continues one)"
        )


def _summary_page(journal: Journal, out: Path) -> str:
    from fer_jax.scoring.summary_page import page

    summary = Summary()
    for row, image in journal.rows():
        summary.add(row, image)
    return page(summary, title=out.name)
