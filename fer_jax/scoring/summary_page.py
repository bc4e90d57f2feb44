"""`--summary out.html`: the summary page of an offline run."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence

import numpy as np

from fer_jax.expressions import COLOURS, EXPRESSIONS
from fer_jax.media.html_page import html_page
from fer_jax.scoring.gallery import LEAST_CERTAIN, Portrait
from fer_jax.scoring.summary import Summary, Timeline, Track

_STYLE = """
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(8.5rem,1fr));gap:.6rem;margin:1rem 0}
.tile{background:var(--card);border:1px solid var(--line);border-radius:8px;padding:.6rem .8rem}
.tile b{display:block;font-size:1.4rem;line-height:1.2;font-variant-numeric:tabular-nums}
.bars{display:grid;grid-template-columns:max-content 1fr max-content;gap:.35rem .7rem;align-items:center;
font-variant-numeric:tabular-nums;max-width:44rem}
.bars svg,.key svg{display:block;width:100%;height:1rem;border-radius:3px}
.bars :nth-child(3n){text-align:right}
.key{display:flex;flex-wrap:wrap;gap:.2rem 1rem;font-size:.875rem;padding:0;
margin:.6rem 0;list-style:none}
.key li{display:flex;align-items:center;gap:.4rem}.key svg{width:.8rem;height:.8rem}
.lane{display:grid;grid-template-columns:3.2rem 1fr;gap:.1rem .7rem;margin:.7rem 0;align-items:center}
.lane .face,.lane .none{grid-row:span 2;width:3.2rem;height:3.2rem;border-radius:6px}
.none{background:var(--card);border:1px solid var(--line)}
.lane svg{display:block;width:100%;height:2.4rem;background:var(--card);border-radius:3px}
.axis{display:flex;justify-content:space-between;margin-left:3.9rem}
.faces{display:grid;grid-template-columns:repeat(auto-fill,minmax(6rem,1fr));gap:.7rem}
.faces img{display:block;width:100%;aspect-ratio:1;object-fit:cover;
border-radius:6px}
figcaption{font-size:.75rem;line-height:1.35;margin-top:.2rem}
figcaption b{color:var(--ink)}
table{font-size:.875rem;width:100%;table-layout:fixed}td:first-child{width:40%}
td{padding:.3rem .8rem .3rem 0;border-top:1px solid var(--line);vertical-align:top}
@media(max-width:520px){.faces{grid-template-columns:repeat(4,1fr);gap:.5rem}
figcaption .where{display:none}}
"""


def page(summary: Summary, *, title: str) -> str:
    """Returns the whole page as HTML.

    Args:
        summary: complete.
        title: of the page, such as the output's name.
    """
    body = (
        f"<h1>{html.escape(title)}</h1>",
        _totals(summary),
        _timelines(summary),
        _gallery(summary),
        _unreadable(summary),
        _listed("Lost frames", summary.notes, more=summary.more_notes),
        "<p class='soft'>An expression is what a face shows in one image, not what a person feels. "
        "A question mark means that the network is uncertain.</p>",
    )
    return html_page(title, body, style=_STYLE)


def _totals(summary: Summary) -> str:
    faces = summary.faces.total()
    tiles = (
        (sum(summary.inputs.values()), "files"),
        (summary.inputs["ok"], "with faces"),
        (summary.inputs["no_face"], "without a face"),
        (summary.inputs["unreadable"], "unreadable"),
        (faces, "faces found"),
        (summary.uncertain, "uncertain faces"),
    )
    shown = "".join(f"<div class='tile'><b>{count:,}</b>{what}</div>" for count, what in tiles)
    most = max(summary.faces.values(), default=1)
    bars = "".join(
        f"<span>{name}</span><span>{_bar(name, summary.faces[name] / most)}</span>"
        f"<span>{summary.faces[name]:,} · {summary.faces[name] / max(faces, 1):.0%}</span>"
        for name in EXPRESSIONS
    )
    return (
        f"<div class='tiles'>{shown}</div><h2>Expressions</h2>"
        f"<p class='soft'>Faces in images and in every analysed frame.</p>"
        f"<div class='bars'>{bars}</div>"
    )


def _bar(name: str, share: float) -> str:
    """Returns a bar as an image, because the page's policy forbids style attributes."""
    return (
        "<svg viewBox='0 0 100 1' preserveAspectRatio='none' aria-hidden='true'>"
        f"<rect width='{100 * share:.1f}' height='1' fill='{COLOURS[name]}'/></svg>"
    )


def _timelines(summary: Summary) -> str:
    if not summary.timelines:
        return ""
    key = "".join(f"<li>{_bar(n, 1.0)}{n}</li>" for n in EXPRESSIONS)
    more = f"<p class='soft'>{summary.more_videos:,} more videos are in the output.</p>"
    return (
        "<h2>Over time</h2><p class='soft'>One band for each tracked face. The higher a "
        "colour, the more probable its expression; a gap is where the face was not seen.</p>"
        f"<ul class='key'>{key}</ul>"
        + "".join(map(_timeline, summary.timelines))
        + (more if summary.more_videos else "")
    )


def _timeline(timeline: Timeline) -> str:
    shown = timeline.longest()
    hidden = len(timeline.tracks) + timeline.left_out - len(shown)
    lanes = "".join(_lane(track, timeline) for track in shown)
    more = f"<p class='soft'>{hidden:,} shorter tracks are not shown.</p>" if hidden else ""
    return (
        f"<h3>{html.escape(timeline.path)}</h3>{lanes}"
        f"<div class='axis soft'><span>0:00</span><span>{_clock(timeline.end_s)}</span></div>{more}"
    )


def _lane(track: Track, timeline: Timeline) -> str:
    mean = track.mean()
    best = int(mean.argmax())
    said = (
        f"#{track.number} · {_clock(track.start_s)} to {_clock(track.end_s)} · "
        f"mostly <b>{EXPRESSIONS[best]}</b>, {mean[best]:.0%}"
    )
    bins = int(timeline.end_s / timeline.bin_s) + 1
    shapes = "".join(
        f"<path fill='{COLOURS[name]}' d='{path}'/>"
        for name, path in zip(EXPRESSIONS, _bands(track), strict=True)
        if path
    )
    return (
        f"<div class='lane'>{_face(track.portrait)}<div class='soft'>{said}</div>"
        f"<svg viewBox='0 0 {bins} 100' preserveAspectRatio='none' role='img' "
        f"aria-label='expressions of face {track.number} over time'>{shapes}</svg></div>"
    )


def _bands(track: Track) -> list[str]:
    """Returns one SVG path per expression: its share of every time bin, stacked upwards."""
    shares = {at: sums[:-1] / sums[-1] for at, sums in sorted(track.sums.items())}
    tops = {at: 100 - 100 * np.cumsum([0.0, *values]) for at, values in shares.items()}
    paths = [""] * len(EXPRESSIONS)
    for run in _runs(list(shares)):
        for n in range(len(EXPRESSIONS)):
            if any(shares[at][n] >= 0.005 for at in run):
                upper = "".join(f"V{tops[at][n + 1]:.0f}H{at + 1}" for at in run)
                lower = "".join(f"V{tops[at][n]:.0f}H{at}" for at in reversed(run))
                paths[n] += f"M{run[0]} {tops[run[0]][n]:.0f}{upper}{lower}Z"
    return paths


def _runs(bins: Sequence[int]) -> Iterable[list[int]]:
    """Splits ascending bins where one is missing."""
    run: list[int] = []
    for at in bins:
        if run and at != run[-1] + 1:
            yield run
            run = []
        run.append(at)
    if run:
        yield run


def _gallery(summary: Summary) -> str:
    groups = summary.gallery.groups()
    shown = {name: [p for p in group if p.image] for name, group in groups.items()}
    blocks = "".join(
        f"<h3>{name}</h3><div class='faces'>{''.join(map(_card, portraits))}</div>"
        for name, portraits in shown.items()
        if portraits
    )
    if not blocks:
        return ""
    return (
        "<h2>Faces</h2><p class='soft'>The most certain ones of each expression, and at the end "
        f"the {LEAST_CERTAIN} of all.</p>{blocks}"
    )


def _card(portrait: Portrait) -> str:
    row = portrait.row
    doubt = "?" if row.uncertain else ""
    why = "" if row.quality in (None, "ok") else f", {row.quality}"
    when = "" if row.time_s is None else f", {_clock(row.time_s)}"
    name = row.path.rsplit("/", 1)[-1]
    return (
        f"<figure title='{html.escape(row.path)}{when}'>{_face(portrait)}<figcaption>"
        f"<b>{row.expression}{doubt} {row.confidence or 0:.0%}{why}</b>"
        f"<span class='where'><br>{html.escape(name)}{when}</span></figcaption></figure>"
    )


def _face(portrait: Portrait) -> str:
    if portrait.image is None:
        return "<div class='none'></div>"
    return f"<img class='face' alt='' src='data:image/jpeg;base64,{portrait.image}'>"


def _unreadable(summary: Summary) -> str:
    more = summary.inputs["unreadable"] - len(summary.reasons)
    return _listed("Unreadable", summary.reasons, more=more)


def _listed(title: str, lines: Sequence[tuple[str, str]], *, more: int) -> str:
    """Returns a table of paths with a text for each; empty if there are none."""
    if not lines:
        return ""
    rows = "".join(f"<tr><td>{html.escape(path)}<td>{html.escape(text)}" for path, text in lines)
    rest = f"<p class='soft'>{more:,} more are in the output.</p>" if more > 0 else ""
    return f"<h2>{title}</h2><table>{rows}</table>{rest}"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
