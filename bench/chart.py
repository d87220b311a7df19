"""The chart: how many times as good as sqlite3 each rival is, as bars on a logarithmic scale, in SVG written by hand.

One group of bars for each workload, one colour for each rival. Colours and letters follow the reader's light or dark
theme. A bar to the right of 1 is better than sqlite3, to the left worse; sqlite3 itself is the line at 1.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from html import escape
from typing import Final

from bench.report import Line, ratio

BASELINE: Final = "sqlite3"

COLOURS: Final = {
    "minidb": "#e8590c",
    "limit": "#868e96",
    "apsw": "#1c7ed6",
    "sqlalchemy": "#ae3ec9",
    "peewee": "#f06595",
    "duckdb": "#f2b705",
    "rocksdict": "#2b9a4b",
    "zodb": "#0ca5b8",
    "diskcache": "#7a6cf0",
    "sqlitedict": "#a0743c",
    "shelve": "#82a818",
    "tinydb": "#d64545",
}
"""Each of a brightness that is read on white and on black."""

WIDTH: Final = 960
LEFT: Final = 190
RIGHT: Final = 50
BAR_HEIGHT: Final = 8
GROUP_GAP: Final = 12
LEGEND_COLUMN: Final = 125
LEGEND_LINE: Final = 20
HEAD: Final = 58
FOOT: Final = 44
LEAST: Final = 0.001
MOST: Final = 1000.0
"""Bars do not grow beyond these; the texts on them say what they are."""

STYLE: Final = """
  text { font: 12px system-ui, sans-serif; fill: #1f2328; }
  .small { font-size: 10px; }
  .title { font-size: 15px; font-weight: 600; }
  .background { fill: #ffffff; }
  .grid { stroke: #d0d7de; }
  .one { stroke: #1f2328; stroke-width: 1.5; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; }
    .background { fill: #0d1117; }
    .grid { stroke: #30363d; }
    .one { stroke: #e6edf3; }
  }
"""


def draw(lines: Sequence[Line], title: str) -> str:
    """Return the chart of a summary whose subject is sqlite3: whose ratios say how many times as good that is."""
    groups = [(line.workload, _times_as_good(line)) for line in lines]
    groups = [(workload, ratios) for workload, ratios in groups if ratios]
    present = {rival for _, ratios in groups for rival in ratios}
    rivals = [rival for rival in COLOURS if rival in present]
    scale = Scale([value for _, ratios in groups for value in ratios.values()])
    per_line = (WIDTH - LEFT - RIGHT) // LEGEND_COLUMN
    top = HEAD + LEGEND_LINE * math.ceil(len(rivals) / per_line)
    body = list(_groups(groups, scale, top))
    bottom = top + sum(BAR_HEIGHT * len(ratios) + GROUP_GAP for _, ratios in groups)
    height = bottom + FOOT
    label = escape(title)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{label}">',
            f"<style>{STYLE}</style>",
            f'<rect class="background" width="{WIDTH}" height="{height}"/>',
            f'<text class="title" x="12" y="24">{label}</text>',
            f'<text x="12" y="42">How many times as good as {BASELINE}: right of 1 is better, left is worse.</text>',
            *_legend(rivals, per_line),
            *_axis(scale, top, bottom),
            *body,
            f'<line class="one" x1="{scale.x(1):.1f}" y1="{top}" x2="{scale.x(1):.1f}" y2="{bottom}"/>',
            "</svg>",
            "",
        ]
    )


class Scale:
    """Where a ratio stands: whole powers of ten around all of them, at equal distances."""

    def __init__(self, ratios: Sequence[float]) -> None:
        bound = [min(max(value, LEAST), MOST) for value in [*ratios, 0.5, 2.0]]
        self.low = math.floor(math.log10(min(bound)))
        self.high = math.ceil(math.log10(max(bound)))

    def x(self, value: float) -> float:
        """Return the place on the horizontal axis."""
        place = (math.log10(min(max(value, LEAST), MOST)) - self.low) / (self.high - self.low)
        return LEFT + place * (WIDTH - LEFT - RIGHT)


def times(value: float) -> str:
    """Return a ratio with its sign."""
    return f"{ratio(value)}&#215;"


def _times_as_good(line: Line) -> dict[str, float]:
    return {rival: 1 / line.ratios[rival] for rival in COLOURS if rival in line.ratios}


def _legend(rivals: Sequence[str], per_line: int) -> Iterator[str]:
    for place, rival in enumerate(rivals):
        x = LEFT + place % per_line * LEGEND_COLUMN
        y = HEAD + place // per_line * LEGEND_LINE
        yield f'<rect x="{x}" y="{y}" width="12" height="12" fill="{COLOURS[rival]}"/>'
        yield f'<text x="{x + 18}" y="{y + 10}">{escape(rival)}</text>'


def _axis(scale: Scale, top: float, bottom: float) -> Iterator[str]:
    for power in range(scale.low, scale.high + 1):
        x = scale.x(10.0**power)
        yield f'<line class="grid" x1="{x:.1f}" y1="{top}" x2="{x:.1f}" y2="{bottom}"/>'
        yield f'<text x="{x:.1f}" y="{bottom + 16}" text-anchor="middle">{10.0**power:g}&#215;</text>'
    middle = LEFT + (WIDTH - LEFT - RIGHT) / 2
    yield f'<text x="{middle}" y="{bottom + 34}" text-anchor="middle">ratio to {BASELINE}, logarithmic</text>'


def _groups(groups: Sequence[tuple[str, dict[str, float]]], scale: Scale, top: float) -> Iterator[str]:
    one = scale.x(1)
    y = top + GROUP_GAP / 2
    for workload, ratios in groups:
        middle = y + BAR_HEIGHT * len(ratios) / 2 + 4
        yield f'<text x="{LEFT - 10}" y="{middle:.1f}" text-anchor="end">{escape(workload)}</text>'
        for rival, value in ratios.items():
            x = scale.x(value)
            start, width = min(x, one), abs(x - one)
            yield (
                f'<rect x="{start:.1f}" y="{y:.1f}" width="{max(width, 0.5):.1f}" height="{BAR_HEIGHT - 1}"'
                f' fill="{COLOURS[rival]}"><title>{escape(workload)}: {escape(rival)} {times(value)}</title></rect>'
            )
            if rival == "minidb" or not LEAST <= value <= MOST:
                anchor, beside = ("start", x + 3) if value >= 1 else ("end", x - 3)
                yield (
                    f'<text class="small" x="{beside:.1f}" y="{y + BAR_HEIGHT - 0.5:.1f}"'
                    f' text-anchor="{anchor}">{times(value)}</text>'
                )
            y += BAR_HEIGHT
        y += GROUP_GAP
