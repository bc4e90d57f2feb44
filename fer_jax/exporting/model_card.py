"""`MODEL_CARD.md` of a released checkpoint: its card in words and tables, and what it is not for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fer_jax.data.processing import sentence
from fer_jax.expressions import EXPRESSIONS

_USE = """\
## What it is for, and what it is not

For research, accessibility aids, interaction and media analysis with the consent of those who are seen,
and for measuring how well expressions can be recognised at all.

It names the expression a face shows in one image. It cannot tell what a person feels, thinks or is
about to do: people smile when they are not happy and scowl when they are not angry, and how often they
do differs by person, situation and culture (Barrett et al., 2019, doi:10.1177/1529100619832930). Do not
decide about people by it: not on jobs, schooling, credit, insurance, treatment, access or suspicion.
Where the law restricts it, do not use it: the European Union, for one, forbids inferring emotions of
people at work and in education, but for medical or safety reasons (Regulation (EU) 2024/1689, Article
5(1)(f)), and asks that people be told elsewhere (Article 50(3)).

## Limits

* {labels}
* Faces seen from the side, covered, below 40 pixels, or badly lit are recognised less well than the
  figures above say, and rare expressions less well than frequent ones: see the table.
* The data says nothing about age, gender or skin tone, so nothing is claimed about them here.
  `python -m fer_jax.evaluate --groups metadata.csv` measures it on faces of which you know it.
"""

_LABELS = """\
Its labels are those of FER2013 or of the data named above: single words given to images from the web,
  many of them acted; people agree with FER2013's labels in about two cases of three."""
_VOTES = """\
Its labels are what most of FER+'s ten people see in images from the web, many of them acted. Faces on
  which no majority agrees are not part of the figures above."""


def model_card(card: Mapping[str, Any]) -> str:
    """Returns the Markdown of a released checkpoint's card (`fer_jax.export release`)."""
    speed = [_speed(card["speed"])] if "speed" in card else []  # older releases were not timed
    use = _USE.format(labels=_VOTES if _learned_votes(card) else _LABELS)
    return "\n".join((_head(card), _data(card), _figures(card), _trust(card), *speed, use))


def _learned_votes(card: Mapping[str, Any]) -> bool:
    return card["config"].get("data", {}).get("labels") == "votes"


def _head(card: Mapping[str, Any]) -> str:
    seed, epoch, step = card["seed"], card["epoch"], f"{card['step']:,}"
    return f"""\
# {card["model"]}: seven facial expressions

{card["parameters"]:,} parameters, seed {seed}, epoch {epoch}, step {step}; digest
`{card["digest"]}`. Takes a face of 48 x 48 grey pixels and answers with probabilities of
{", ".join(EXPRESSIONS)}. Made by

    {card["command"]}

with {", ".join(f"{name} {version}" for name, version in card["versions"].items())}.
"""


def _openings(card: Mapping[str, Any]) -> str:
    if "test_openings" not in card:  # older releases did not record it
        return ""
    times = [opening["time"] for opening in card["test_openings"]]
    if not times:
        return "; by the run's record it had never been opened"
    often = f"{len(times)} times, first" if len(times) > 1 else "once,"
    return f"; by the run's record it was opened {often} at {min(times)}"


def _lineage(card: Mapping[str, Any]) -> str:
    lines = []
    if start := card.get("start"):
        which = "mean of the weights of" if "," in start else "weights of the network"
        lines.append(f"It was initialised with the {which} {_names(start)}.")
    if teacher := card.get("teacher"):
        lines.append(
            f"It also learned from the outputs of {_names(teacher)} on the training faces."
        )
    config = card["config"]
    if config.get("recalibrate"):
        lines.append("Its batch norm statistics were recomputed on the unaugmented training faces.")
    if share := config["loss"].get("logit_adjustment"):
        bound = config["loss"].get("logit_adjustment_below", 1)
        of = "the log frequencies"
        if bound < 1:
            of = f"log(frequency / {bound:.3g}) of expressions rarer than {100 * bound:.3g} %"
        effect = "which favours rare expressions"
        lines.append(f"{share:g} of {of} is subtracted from its logits, {effect}.")
    return "".join(f" {line}" for line in lines)


def _votes(card: Mapping[str, Any]) -> str:
    if not _learned_votes(card):
        return ""
    left_out = card["dataset"]["votes"]["left_out"]
    return f"""
The targets are the shares of FER+'s ten votes for each face (Barsoum et al., 2016); a vote that nobody
else casts is dropped. Votes for contempt, "unknown" and "not a face" have no target and lower a face's
weight; {left_out["train"]:,} faces without any other vote were left out. Validation is against the
majority, so {left_out["validation"]:,} validation faces without one do not count. Below, each face
counts for its most frequent vote.
"""


def _names(digests: str) -> str:
    return ", ".join(f"`{digest[:12]}`" for digest in digests.split(","))


def _data(card: Mapping[str, Any]) -> str:
    dataset = card["dataset"]
    used = dataset.get("counts_used", dataset["counts"])
    lines = ["| expression | train | validation |", "|---|---:|---:|"]
    for name in EXPRESSIONS:
        lines.append(f"| {name} | {used['train'][name]:,} | {used['validation'][name]:,} |")
    excluded = dataset["audit"]["excluded"].get("train", 0)
    faces = sum(used["train"].values())
    return f"""\
## Data and protocol

Trained on {dataset["name"]}, {faces:,} faces; the audit left out {excluded:,} copies, blanks and
contradictions, among them all copies of faces in another split. The epoch, and every setting, was
chosen on validation, so the validation figures below are optimistic. The test split was not
used to choose anything{_openings(card)}.{_lineage(card)}{_processing(dataset)}
{_votes(card)}
{chr(10).join(lines)}
"""


def _processing(dataset: Mapping[str, Any]) -> str:
    if "processing" not in dataset:  # synthetic faces, and releases of older versions
        return ""
    return f" Processing of the images before training: {sentence(dataset['processing'])}."


def _figures(card: Mapping[str, Any]) -> str:
    report = card["report"]
    pair = report, report["flip"]
    rows = [
        ("accuracy", [f"{each['accuracy']:.1%}" for each in pair]),
        (
            "95 % interval",
            ["{:.1%} to {:.1%}".format(*each["accuracy_interval"]) for each in pair],
        ),
        ("unweighted average recall", [f"{each['uar']:.1%}" for each in pair]),
        ("macro F1", [f"{each['macro_f1']:.1%}" for each in pair]),
    ]
    lines = [f"| {name} | {single} | {flip} |" for name, (single, flip) in rows]
    classes = [
        f"| {name} | {each['recall']:.1%} | {each['precision']:.1%} | {each['f1']:.1%} | "
        f"{each['support']:,} |"
        for name, each in report["per_class"].items()
    ]
    confusion = [
        f"| {name} | {' | '.join(f'{count:,}' for count in row)} |"
        for name, row in zip(EXPRESSIONS, report["confusion"], strict=True)
    ]
    return f"""\
## Figures on {report["split"]}, {report["count"]:,} faces

| | single crop | mean with the mirror image |
|---|---:|---:|
{chr(10).join(lines)}

| expression | recall | precision | F1 | faces |
|---|---:|---:|---:|---:|
{chr(10).join(classes)}

What is labelled as (rows) is taken for (columns), single crop:

| | {" | ".join(EXPRESSIONS)} |
|---|{"---:|" * len(EXPRESSIONS)}
{chr(10).join(confusion)}
"""


def _trust(card: Mapping[str, Any]) -> str:
    calibrated, confident = card["calibrated"], card["calibrated"]["confident"]
    low, high = confident["accuracy_interval"]
    temperature, threshold = card["temperature"], card["uncertain_below"]
    error, share = f"{calibrated['ece']:.1%}", f"{confident['share']:.0%}"
    return f"""\
## How far to trust it

Logits are divided by a temperature of {temperature:.3f}, fitted on validation; the expected calibration
error is then {error} (15 bins). Of the {share} of faces with a confidence of {threshold:.2f} or more,
{confident["accuracy"]:.1%} are right ({low:.1%} to {high:.1%}); the others are marked `uncertain`.
"""


def _speed(speed: Mapping[str, Any]) -> str:
    cores = f"{speed['cores']} core{'s' if speed['cores'] > 1 else ''}"
    where = cores if speed["platform"] == "cpu" else f"one device with {cores}"
    one, many = (
        f"{speed['milliseconds_one_face']:.1f} ms",
        f"{speed['faces_per_second']:,.0f} faces",
    )
    return f"""\
## Speed and size

On {speed["processor"]}, {where}: one face takes {one} (median); batches of {speed["batch_size"]} make
{many} a second (jax {speed["jax"]}, {speed["platform"]}). That is from faces in memory, cut out already,
to logits; a detector's time comes on top. The weights, {speed["parameters"]:,} parameters, take
{speed["checkpoint_bytes"] / 1e6:.1f} MB.
"""
