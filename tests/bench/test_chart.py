"""The chart is well-formed, has a bar for each figure, and says in words what its colours mean."""

from __future__ import annotations

from xml.etree import ElementTree

from bench import chart
from bench.report import Line

SVG = "{http://www.w3.org/2000/svg}"


def line(workload: str, **ratios: float) -> Line:
    """Say how many times as good as each of the rivals sqlite3 is."""
    return Line(workload=workload, unit="rows/s", medians={}, spreads={}, ratios=ratios)


def drawn(*lines: Line) -> ElementTree.Element:
    return ElementTree.fromstring(chart.draw(lines, "A <title> & more"))  # noqa: S314  # our own chart


def bars(root: ElementTree.Element) -> dict[str, tuple[float, float]]:
    """Return where each bar begins and ends, by its tooltip."""
    found = {}
    for bar in root.iter(f"{SVG}rect"):
        tooltip = bar.find(f"{SVG}title")
        if tooltip is not None:
            start = float(bar.attrib["x"])
            found[str(tooltip.text)] = (start, start + float(bar.attrib["width"]))
    return found


def test_a_bar_grows_from_one_to_the_better_or_the_worse_side() -> None:
    # sqlite3 is twice as good as the one, and a tenth as good as the other.
    found = bars(drawn(line("scan", minidb=0.1, limit=2.0)))
    assert list(found) == ["scan: minidb 10.00\N{MULTIPLICATION SIGN}", "scan: limit 0.50\N{MULTIPLICATION SIGN}"]
    better, worse = found.values()
    scale = chart.Scale([10.0, 0.5])
    assert [round(place) for place in better] == [round(scale.x(1)), round(scale.x(10))]
    assert [round(place) for place in worse] == [round(scale.x(0.5)), round(scale.x(1))]


def test_equal_ratios_stand_at_equal_distances() -> None:
    scale = chart.Scale([0.01, 100.0])
    assert round(scale.x(10) - scale.x(1), 6) == round(scale.x(1) - scale.x(0.1), 6)


def test_texts_name_the_title_the_axis_the_workloads_and_the_rivals() -> None:
    root = drawn(line("scan", minidb=0.5, apsw=0.9), line("backup", zodb=3.0))
    texts = [text.text for text in root.iter(f"{SVG}text")]
    for expected in ("A <title> & more", "ratio to sqlite3, logarithmic", "scan", "backup", "minidb", "apsw", "zodb"):
        assert expected in texts
    assert "tinydb" not in texts


def test_a_bar_that_leaves_the_chart_says_its_figure() -> None:
    root = drawn(line("open_read", shelve=10_000.0))
    assert all(chart.LEFT <= x <= chart.WIDTH - chart.RIGHT for edges in bars(root).values() for x in edges)
    assert "0.0001\N{MULTIPLICATION SIGN}" in [text.text for text in root.iter(f"{SVG}text")]


def test_a_workload_that_sqlite3_was_not_measured_in_has_no_bars() -> None:
    assert bars(drawn(line("scan"), line("backup", limit=1.0))) == {
        "backup: limit 1.00\N{MULTIPLICATION SIGN}": (
            chart.Scale([1.0]).x(1),
            chart.Scale([1.0]).x(1) + 0.5,
        )
    }


def test_it_is_read_in_light_and_dark_and_every_rival_has_a_colour_of_its_own() -> None:
    assert "prefers-color-scheme: dark" in chart.draw([line("scan", minidb=0.5)], "title")
    assert len(set(chart.COLOURS.values())) == len(chart.COLOURS)
