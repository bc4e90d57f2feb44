"""Our side of the scoring benchmark: whole runs of `fer_jax.score`, and the bare network."""

from __future__ import annotations

import argparse
import json
import tempfile
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import jax
import numpy as np
from turns import serve

from fer_jax.faces.detect import DETECT_SIZE, make_detector
from fer_jax.faces.preprocess import grey_face
from fer_jax.inference import MAX_BATCH
from fer_jax.inference.compilation import compile_inference
from fer_jax.inference.network import FACE, inference_function
from fer_jax.inference.predictor import Predictor
from fer_jax.media.images import MAX_PIXELS, read_image
from fer_jax.pretrained import CHECKPOINT_HELP
from fer_jax.scoring.progress import ScoringProgress
from fer_jax.scoring.rows import path_text
from fer_jax.scoring.run import ScoringOptions, run
from fer_jax.scoring.writers import read_rows


def main() -> None:
    """Loads the checkpoint and serves turns of scoring a list of images."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--list", required=True, help="JSON list of the images")
    parser.add_argument("--found", required=True, help="JSON file for the number of faces in each")
    parser.add_argument("--checkpoint", help=CHECKPOINT_HELP)
    parser.add_argument("--detector", default="yunet")
    parser.add_argument("--batch-size", type=int, default=MAX_BATCH)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")  # a missing card does not matter here

    paths = [Path(text) for text in json.loads(Path(arguments.list).read_text())]
    predictor = Predictor.load(arguments.checkpoint, max_batch=arguments.batch_size)
    predictor.wait()
    folder = tempfile.TemporaryDirectory()
    settings = ScoringOptions(
        out=Path(folder.name) / "faces.csv",
        resume=False,
        detector=arguments.detector,
        detect_size=DETECT_SIZE,
        every=1,
        fps=None,
        max_pixels=MAX_PIXELS,
        batch_size=arguments.batch_size,
    )

    detector = make_detector(arguments.detector)

    def score(count: int) -> None:
        for _ in range(count):
            run(paths, predictor, detector, settings, ScoringProgress())
        faces = Counter(row.path for row in read_rows(settings.out) if row.status == "ok")
        found = [faces[path_text(path)] for path in paths]
        Path(arguments.found).write_text(json.dumps(found))

    serve(
        {"score": score, "network": _network(predictor, paths, arguments.batch_size)},
        about=f"fer_jax.score, detector {arguments.detector}, JAX {jax.__version__}",
    )


def _network(predictor: Predictor, paths: list[Path], batch_size: int) -> Any:
    """Returns a function that runs the jitted network on the same images, already decoded in memory."""
    device = jax.local_devices()[0]
    logits, variables = inference_function(predictor.saved, devices=[device])
    example = jax.ShapeDtypeStruct((batch_size, *FACE.shape), FACE.dtype)
    lowered = jax.jit(logits).lower(variables, example)
    compiled = compile_inference(lowered, platform=device.platform)
    batches: list[jax.Array] = []

    def network(count: int) -> None:
        if not batches:
            faces = np.stack([grey_face(read_image(path)) for path in paths])
            ends = range(batch_size, len(faces) + 1, batch_size)
            batches.extend(jax.device_put(faces[end - batch_size : end]) for end in ends)
            compiled(variables, batches[0]).block_until_ready()
        for _ in range(count):
            for batch in batches:
                compiled(variables, batch).block_until_ready()

    return network


if __name__ == "__main__":
    main()
