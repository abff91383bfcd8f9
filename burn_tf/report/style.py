"""How a page looks: colours by day and by night, and one column on a phone."""

from __future__ import annotations

from collections.abc import Sequence

from burn_tf.report.frame import DARK_COLOURS, LIGHT_COLOURS


def _scheme(colours: Sequence[str], **variables: str) -> str:
    named = [f"--{name}:{value}" for name, value in variables.items()]
    return ";".join(named + [f"--series-{i + 1}:{c}" for i, c in enumerate(colours)])


_LIGHT = _scheme(
    LIGHT_COLOURS, page="#f4f6f9", card="#fff", ink="#1d2430", muted="#5b6472",
    grid="#e3e7ee", axis="#9aa3b2", accent="#3566d6",
)  # fmt: skip
_DARK = _scheme(
    DARK_COLOURS, page="#12151b", card="#1b2029", ink="#e8ecf3", muted="#a3adbd",
    grid="#2c3340", axis="#5d6778", accent="#7ea6ff",
)  # fmt: skip

STYLE = (
    ":root{color-scheme:light dark;" + _LIGHT + "}"
    "@media (prefers-color-scheme:dark){:root{"
    + _DARK
    + "}}"
    + """
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--ink);font:16px/1.5 system-ui,-apple-system,
 "Segoe UI",Roboto,"DejaVu Sans",sans-serif;-webkit-text-size-adjust:100%}
main{max-width:1080px;margin:0 auto;padding:20px 14px 48px}
h1{font-size:1.6rem;line-height:1.2;margin:8px 0 18px;overflow-wrap:anywhere}
h2{font-size:1.1rem;margin:32px 0 10px}
h3{font-size:.95rem;margin:0 0 8px;font-weight:600}
.card{background:var(--card);border:1px solid var(--grid);border-radius:12px;padding:14px}
.tiles{display:grid;grid-template-columns:repeat(auto-fill,minmax(138px,1fr));gap:10px;margin:0}
.tiles div{padding:10px 12px}
dt{color:var(--muted);font-size:.8rem;overflow-wrap:anywhere}
dd{margin:0;font-size:1.15rem;font-weight:600;font-variant-numeric:tabular-nums}
.facts{margin:10px 0 0}
.facts div{display:grid;grid-template-columns:minmax(6rem,13rem) 1fr;gap:2px 12px;padding:5px 0}
.facts div+div{border-top:1px solid var(--grid)}
@media (max-width:560px){.facts div{grid-template-columns:1fr}.card{padding:12px 10px}}
.facts dd{font-size:.9rem;font-weight:400;overflow-wrap:anywhere}
.scroll{overflow-x:auto;padding:4px 0}
.scroll+.charts,.charts+.charts,.charts+.scroll,section>.card+.card{margin-top:14px}
table{border-collapse:collapse;width:100%;font-size:.9rem;font-variant-numeric:tabular-nums}
th,td{padding:8px 10px;text-align:left;white-space:nowrap}
thead th{color:var(--muted);font-weight:600;font-size:.8rem}
tbody tr{border-top:1px solid var(--grid)}
tbody th{font-weight:600;white-space:normal;overflow-wrap:anywhere;min-width:8rem}
.number{text-align:right}
caption{text-align:left;font-weight:600;font-size:.9rem;padding:8px 10px 4px;position:sticky;left:0}
.quoted{color:var(--muted);font-style:italic}
.quoted th{font-weight:400}
.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,400px),1fr));gap:14px}
figure{margin:0;min-width:0}
figure svg{display:block;width:100%;height:auto;max-width:480px;margin:0 auto}
.note,.notes{color:var(--muted);font-size:.8rem}
.note{margin:8px 0 0}
.notes{padding-left:1.2rem;overflow-wrap:anywhere}
.gallery{display:grid;grid-template-columns:repeat(auto-fill,minmax(84px,1fr));gap:10px}
.gallery figure{font-size:.75rem;color:var(--muted);text-align:center;overflow-wrap:anywhere}
.gallery.wide{grid-template-columns:repeat(auto-fill,minmax(min(100%,300px),1fr))}
figure img{width:100%;height:auto;border-radius:6px;display:block}
.pixels{image-rendering:pixelated}
.strip{display:grid;grid-template-columns:84px 1fr;gap:16px;align-items:start}
.strip+.strip{margin-top:10px}
.strip .gallery{grid-template-columns:repeat(auto-fill,minmax(62px,1fr));gap:8px}
.strip>figure{font-size:.8rem;text-align:center;overflow-wrap:anywhere}
.other img{outline:2px dashed var(--series-2);outline-offset:1px}
details{margin-top:10px}
summary{cursor:pointer;font-weight:600;font-size:.9rem;overflow-wrap:anywhere}
:focus-visible{outline:2px solid var(--accent);outline-offset:2px}
@media print{body{background:#fff}.card{break-inside:avoid}}
"""
)
