"""A report as one HTML file for phones and desktops: embedded images, no scripts, no requests.

Its Content-Security-Policy enforces that: it allows only the page's one style sheet, named by its hash,
and embedded images. There are no style attributes, because such a policy forbids them.
"""

from __future__ import annotations

import base64
import hashlib
import html
from collections.abc import Iterable

_STYLE = """
:root{color-scheme:light dark;--paper:#fff;--ink:#22262b;--soft:#5b636d;--line:#e1e4e8;--card:#f6f7f9}
@media(prefers-color-scheme:dark){:root{--paper:#14171b;--ink:#e4e7eb;--soft:#9aa4af;--line:#2e353d;
--card:#1b1f24}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:1080px;padding:1.5rem 1rem 4rem;background:var(--paper);
color:var(--ink);font:16px/1.5 system-ui,sans-serif;overflow-wrap:anywhere}
h1{font-size:1.7rem;line-height:1.2;margin:.2rem 0}h2{font-size:1.25rem;margin:2.5rem 0 .6rem}
h3{font-size:1rem;margin:1.6rem 0 .3rem}p{margin:.3rem 0;max-width:65ch}
.soft,figcaption{color:var(--soft);font-size:.875rem}
figure{margin:0;min-width:0}table{border-collapse:collapse}
"""


def html_page(title: str, sections: Iterable[str], *, style: str) -> str:
    """Returns a whole page.

    Args:
        title: plain text.
        sections: HTML, without scripts and style attributes; images are data: addresses.
        style: CSS, added to the style shared by all pages.
    """
    css = _STYLE + style
    digest = base64.b64encode(hashlib.sha256(css.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'; "
        "base-uri 'none'; form-action 'none'"
    )
    return (
        "<!doctype html><html lang='en'><meta charset='utf-8'>"
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        "<meta name='viewport' content='width=device-width,initial-scale=1'>"
        f"<title>{html.escape(title)}</title><style>{css}</style>"
        f"<body>{''.join(sections)}</body></html>\n"
    )
