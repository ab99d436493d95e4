"""One HTML page of pictures and a table, in one file without scripts: light and dark, and readable on a telephone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

from convexwgan.report.results import Result
from convexwgan.report.tables import expected_text, gap_text, number_text, summary

STYLE = """
:root { color-scheme: light dark; --text: #1b1f24; --soft: #57606a; --ground: #ffffff; --line: #d8dee4; --card: #f6f8fa;
  --good: #116329; --other: #0550ae; --bad: #b42318; }
@media (prefers-color-scheme: dark) { :root { --text: #e6edf3; --soft: #9aa4af; --ground: #0f1419; --line: #30363d;
  --card: #171d24; --good: #56d364; --other: #79c0ff; --bad: #ff7b72; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 72rem; padding: 1rem clamp(0.8rem, 3vw, 2.5rem) 4rem; background: var(--ground);
  color: var(--text); font: 1rem/1.55 system-ui, sans-serif; }
h1 { font-size: clamp(1.5rem, 4vw, 2.2rem); line-height: 1.2; margin: 1.2rem 0 0.4rem; }
h2 { font-size: 1.25rem; margin: 2.4rem 0 0.6rem; }
p { max-width: 46rem; }
.soft, figcaption { color: var(--soft); font-size: 0.92rem; }
.figures { display: grid; gap: 1.2rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 24rem), 1fr)); }
figure { margin: 0; } figure.wide { grid-column: 1 / -1; }
figure img { width: 100%; height: auto; background: #fff; border: 1px solid var(--line); border-radius: 8px;
  padding: 6px; }
.scroll { overflow-x: auto; border: 1px solid var(--line); border-radius: 8px; }
table { border-collapse: collapse; font-size: 0.85rem; width: 100%; }
th, td { padding: 0.35rem 0.6rem; text-align: left; border-bottom: 1px solid var(--line); vertical-align: top; }
th { background: var(--card); position: sticky; top: 0; }
small { color: var(--soft); }
td.route { min-width: 13rem; }
td.number { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
tr:last-child td { border-bottom: 0; }
.status { font-weight: 600; white-space: nowrap; }
.certified { color: var(--good); } .infeasible, .refused { color: var(--other); }
.bracketed, .unverified, .failed, .error, .wrong { color: var(--bad); }
"""


@dataclass(frozen=True)
class Figure:
    """A picture beside the page: its file name, a title, what to see in it, and the text for those who do not see."""

    file: str
    title: str
    caption: str
    alt: str
    is_wide: bool = False


def render_page(title: str, introduction: Sequence[str], figures: Iterable[Figure], results: Sequence[Result]) -> str:
    """The page as HTML text; every text is escaped, every picture linked relative to the page.

    Args:
        title: of the page.
        introduction: paragraphs before the first picture.
        figures: pictures in order.
        results: rows of the table; no table when empty.

    >>> "<h1>A &amp; B</h1>" in render_page("A & B", [], [], [])
    True
    """
    body = [f"<h1>{escape(title)}</h1>", *(f"<p>{escape(text)}</p>" for text in introduction)]
    body += ['<div class="figures">', *map(_figure, figures), "</div>"]
    if results:
        body += ["<h2>Every instance</h2>", f'<p class="soft">{escape(summary(results))}</p>', _table(results)]
    head = (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
    )
    return head + "\n".join(body) + "\n</body>\n</html>\n"


def _figure(figure: Figure) -> str:
    file, alt = escape(figure.file, quote=True), escape(figure.alt, quote=True)
    kind = ' class="wide"' if figure.is_wide else ""
    caption = f"<strong>{escape(figure.title)}.</strong> {escape(figure.caption)}"
    return (
        f'<figure{kind}><a href="{file}"><img src="{file}" alt="{alt}"></a><figcaption>{caption}</figcaption></figure>'
    )


def _table(results: Sequence[Result]) -> str:
    names = ("pair and instance", "route", "status", "value", "bound", "relative gap", "seconds", "expected")
    head = "".join(f'<th scope="col">{name}</th>' for name in names)
    rows = "\n".join(map(_row, results))
    return f'<div class="scroll"><table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}\n</tbody></table></div>'


def _row(row: Result) -> str:
    # A name may break after each underscore; a telephone has no room for the longest.
    name = escape(row.name).replace("_", "_<wbr>")
    texts = f'<td>{escape(row.pair)}<br><small>{name}</small></td><td class="route">{escape(row.route)}</td>'
    note = f' title="{escape(row.note, quote=True)}"' if row.note else ""
    status = f'<td class="status {escape(row.status)}"{note}>{escape(row.status.upper())}</td>'
    values = (number_text(row.value), number_text(row.bound), gap_text(row.relative_gap), f"{row.seconds:.2f}")
    numbers = "".join(f'<td class="number">{value}</td>' for value in values)
    kind = "" if row.is_as_expected else ' class="wrong"'
    return f"<tr>{texts}{status}{numbers}<td{kind}>{escape(expected_text(row))}</td></tr>"
