"""The explore command's web page.

Faces are separate small images, so that rows wrap to the width there is; charts come in a light and a
dark version.
"""

from __future__ import annotations

import html
from collections.abc import Mapping

from fer_jax.data.audit import Flaw, Group
from fer_jax.exploration.face_tags import face_tags, face_uri, png_uri
from fer_jax.exploration.label_votes import votes_section
from fer_jax.exploration.processing_section import processing_section
from fer_jax.exploration.statistics import Exploration, examples, sample_indices
from fer_jax.expressions import EXPRESSIONS
from fer_jax.media.html_page import html_page

_SAMPLES = 14  # faces shown of each expression
_SHOWN = 12  # findings shown of each kind
_MEMBERS = 6  # faces shown of each group

_GROUP_KINDS = (
    ("duplicates", "Identical pixels", "The same image more than once."),
    (
        "cross_split",
        "Identical across splits",
        "The same image in more than one split: a network is tested on what it memorised.",
    ),
    (
        "label_conflicts",
        "Identical, under two labels",
        "The same image under different expressions: at least one of them is wrong.",
    ),
    (
        "near_duplicates",
        "Nearly identical",
        "One photograph with other pixels: brighter, recompressed, shifted, stamped or mirrored.",
    ),
    ("near_cross_split", "Nearly identical across splits", "The quieter kind of leak."),
    (
        "near_label_conflicts",
        "Nearly identical, under two labels",
        "One photograph under different expressions.",
    ),
)
_FLAW_KINDS = (
    ("constant", "Blank", "Images of a single grey level, or very nearly."),
    (
        "placeholders",
        "Placeholders",
        "Three quarters or more of it are one grey level: removed-image signs, empty crops.",
    ),
)

_STYLE = """
:root{--chart:#fff}@media(prefers-color-scheme:dark){:root{--chart:var(--card)}}
summary{color:var(--soft);cursor:pointer}
table{font-variant-numeric:tabular-nums}
th,td{padding:.3rem .8rem .3rem 0;text-align:right;border-bottom:1px solid var(--line)}
th:first-child,td:first-child{text-align:left}th{font-weight:600}tfoot td{font-weight:600;border:0}
.wide{overflow-x:auto}table+p,.charts+p{margin-top:1rem}
.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,330px),1fr));gap:1rem;
align-items:start}
.charts figure{background:var(--chart);border:1px solid var(--line);border-radius:8px;padding:.6rem}
.charts img{width:100%;height:auto;display:block}
.faces{display:flex;flex-wrap:wrap;gap:4px;margin:.3rem 0}
.faces img{width:70px;height:auto;border-radius:3px;display:block;outline:1px solid var(--line)}
.groups{display:grid;grid-template-columns:repeat(auto-fill,minmax(235px,1fr));gap:.8rem;
margin:.6rem 0}
.groups figure{background:var(--card);border:1px solid var(--line);border-radius:8px;padding:.6rem}
details{font-size:.8rem}
.means{display:grid;grid-template-columns:repeat(auto-fit,minmax(96px,1fr));gap:.8rem}
.means img{width:100%;height:auto;border-radius:6px;display:block}
@media(max-width:520px){.faces img{width:48px}
.groups{grid-template-columns:repeat(auto-fill,minmax(160px,1fr))}
th,td{padding-right:.5rem;font-size:.9rem}
.samples .faces img{width:calc((100% - 24px)/7)}}
"""


def page(found: Exploration, charts: Mapping[str, tuple[bytes, bytes]]) -> str:
    """Returns the page as HTML.

    Args:
        found: what `examine` returned.
        charts: PNG files, light and dark, by what they show ("counts", "brightness", "contrast").
    """
    total = sum(len(faces) for faces in found.splits.values())
    body = (
        f"<h1>{total:,} faces</h1><p class='soft'>{html.escape(found.source)}</p>",
        _counts_section(found, charts["counts"]),
        _samples_section(found),
        _means_section(found),
        "<h2>Brightness and contrast</h2><p class='soft'>Boxes hold the middle half of the faces, "
        "whiskers reach from 1 % to 99 %.</p><div class='charts'>"
        + _chart("brightness by expression", charts["brightness"])
        + _chart("contrast by expression", charts["contrast"])
        + "</div>",
        processing_section(found),
        votes_section(found.label_votes, found.main_faces),
        _audit_section(found),
    )
    return html_page(f"{total:,} faces, explored", body, style=_STYLE)


def _counts_section(found: Exploration, chart: tuple[bytes, bytes]) -> str:
    head = "".join(f"<th>{split}<th class='soft'>%" for split in found.counts)
    totals = {split: sum(by_class.values()) for split, by_class in found.counts.items()}
    rows = "".join(
        f"<tr><td>{name}"
        + "".join(
            f"<td>{by_class[name]:,}<td class='soft'>{100 * by_class[name] / totals[split]:.1f}"
            for split, by_class in found.counts.items()
        )
        for name in EXPRESSIONS
    )
    foot = "".join(f"<td>{count:,}<td>" for count in totals.values())
    table = (
        f"<div class='wide'><table><thead><tr><th>expression{head}</thead><tbody>{rows}</tbody>"
        f"<tfoot><tr><td>all{foot}</tfoot></table></div>"
    )
    learnability = ""
    if found.linear_accuracy is not None:
        learnability = (
            f"<p>Linear baseline (ridge on pixels): <b>{found.linear_accuracy:.1%}</b> of "
            f"validation right. Always answering the commonest expression: {found.majority:.1%}.</p>"
        )
    return (
        f"<h2>Counts</h2><div class='charts'>{table}{_chart('faces by expression', chart)}</div>"
        f"{learnability}"
    )


def _samples_section(found: Exploration) -> str:
    faces = found.main_faces
    rows = "".join(
        f"<h3>{name}</h3>" + face_tags((faces.images[i], faces.names[i]) for i in indices.tolist())
        for name, indices in sample_indices(faces.labels, per_class=_SAMPLES).items()
        if len(indices)
    )
    about = f"<p class='soft'>Drawn at random from {found.main}.</p>"
    return f"<h2>Samples</h2>{about}<div class='samples'>{rows}</div>"


def _means_section(found: Exploration) -> str:
    cards = "".join(
        f"<figure><img alt='mean {name} face' src='{face_uri(mean)}'>"
        f"<figcaption>{name}</figcaption></figure>"
        for name, mean in zip(EXPRESSIONS, found.mean_faces, strict=True)
        if found.counts[found.main][name]
    )
    return f"<h2>Mean faces</h2><div class='means'>{cards}</div>"


def _audit_section(found: Exploration) -> str:
    kinds = (*_FLAW_KINDS, *_GROUP_KINDS)
    counts = found.audit.counts()
    rows = "".join(
        f"<tr><td>{title}<td>{counts[kind]:,}<td>{sum(map(len, found.audit.groups(kind))):,}"
        for kind, title, _ in kinds
    )
    left_out = ", ".join(
        f"{count:,} of {len(found.splits[split]):,} {split} faces"
        for split, count in found.left_out.items()
        if count
    )
    blocks = "".join(
        f"<h3>{title}: {counts[kind]:,}</h3>"
        f"<p class='soft'>{meaning}{_more(counts[kind])}</p>"
        f"<div class='groups'>{''.join(_card(found, members) for members in shown)}</div>"
        for kind, title, meaning in kinds
        if (shown := examples(found.audit, kind, at_most=_SHOWN))
    )
    return (
        f"<h2>Audit</h2><table><thead><tr><th>finding<th>found<th>faces</thead><tbody>{rows}</tbody></table>"
        f"<p>Training with <code>exclude_audited</code> leaves out {left_out or 'nothing'}. "
        f"Every finding is listed in explore.json.</p>{blocks}"
    )


def _more(count: int) -> str:
    return f" {_SHOWN} of {count:,} are shown." if count > _SHOWN else ""


def _card(found: Exploration, members: Group) -> str:
    places: dict[str, int] = {}
    for member in members:
        place = f"{member.split} {member.label}"
        places[place] = places.get(place, 0) + 1
    caption = ", ".join(f"{place} &times; {n}" if n > 1 else place for place, n in places.items())
    if isinstance(members[0], Flaw):
        caption += f": {members[0].reason}"
    names = "<br>".join(html.escape(member.name) for member in members)
    shown = face_tags(
        (found.splits[member.split].images[member.index], member.name)
        for member in members[:_MEMBERS]
    )
    summary = "name" if len(members) == 1 else f"{len(members)} names"
    return (
        f"<figure>{shown}<figcaption>{caption}</figcaption>"
        f"<details><summary>{summary}</summary>{names}</details></figure>"
    )


def _chart(alt: str, chart: tuple[bytes, bytes]) -> str:
    light, dark = (png_uri(data) for data in chart)
    return (
        f"<figure><picture><source media='(prefers-color-scheme:dark)' srcset='{dark}'>"
        f"<img alt='{alt}' src='{light}'></picture></figure>"
    )
