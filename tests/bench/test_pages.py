"""The output of a run: JSON, the plot, and the tables of the pages."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
from benchmarks.bench.environment import ROOT
from benchmarks.bench.goals import GOALS
from benchmarks.bench.pages import MAIN_KEYS, MarkersMissing, between, write
from benchmarks.bench.plot import draw
from benchmarks.bench.results import Results

SVG = "{http://www.w3.org/2000/svg}"


def test_the_json_has_every_key_at_its_top_level(results: Results) -> None:
    answers = json.loads(results.to_json())

    assert {key: answers[key] for key in GOALS} == dict.fromkeys(GOALS, 2.0)
    assert answers["details"]["p50_ms"]["goal"] == "<= 15 ms"
    assert answers["details"]["single_vs_stock_orm"]["met"] is False
    assert answers["details"]["single_vs_stock_orm"]["size"] == {"users_known": 10}
    assert (answers["run"], answers["day"], answers["machine"]["cores"]) == ("quick", "2026-11-24", 2)
    assert answers["rates"]["rollbook"] == {"median": 950, "lowest": 900, "highest": 1_000, "rounds": [900, 1_000]}
    assert "\n" not in results.to_json()


def test_a_written_run_can_be_read_again(results: Results) -> None:
    assert Results.from_dict(results.to_dict()).to_dict() == results.to_dict()


def test_the_plot_is_xml_with_a_bar_for_each_rate_and_no_link_to_elsewhere(results: Results) -> None:
    drawn = draw(results.rates, "Rates <on> a & b")

    root = ElementTree.fromstring(drawn)
    bars = [rect for rect in root.iter(f"{SVG}rect") if rect.get("class") in ("ours", "theirs")]
    assert len(bars) == len(results.rates)
    assert all(float(bar.get("width", 0)) > 0 for bar in bars)
    assert "href" not in drawn
    assert "prefers-color-scheme: dark" in drawn


def test_a_longer_bar_is_a_higher_rate(results: Results) -> None:
    root = ElementTree.fromstring(draw({"rollbook": [1_000.0], "celery_orm_8": [100.0]}, "two"))

    widths = {rect.get("class"): float(rect.get("width", 0)) for rect in root.iter(f"{SVG}rect") if rect.get("x")}
    assert widths["ours"] > widths["theirs"]


def test_only_text_between_the_markers_is_rewritten() -> None:
    page = "before\n<!-- a -->\nold\nlines\n<!-- /a -->\nafter <!-- b -->\n"

    assert between(page, "a", r"new \1") == "before\n<!-- a -->\nnew \\1\n<!-- /a -->\nafter <!-- b -->\n"


@pytest.mark.parametrize("page", ["", "<!-- a -->\n", "<!-- a -->\n<!-- /a --><!-- a -->\n<!-- /a -->"])
def test_a_page_without_its_markers_is_left_alone(page: str) -> None:
    with pytest.raises(MarkersMissing):
        between(page, "a", "new")


def test_writing_changes_both_pages_and_is_repeatable(results: Results, tmp_path: Path) -> None:
    (tmp_path / "benchmarks").mkdir()
    for name in ("README.md", "benchmarks/README.md"):
        (tmp_path / name).write_text((ROOT / name).read_text())

    write(results, tmp_path)
    first = {path: path.read_text() for path in sorted(tmp_path.rglob("*.*"))}
    write(results, tmp_path)

    assert {path: path.read_text() for path in sorted(tmp_path.rglob("*.*"))} == first
    page = first[tmp_path / "benchmarks" / "README.md"]
    assert [key for key in GOALS if f"| `{key}` |" not in page] == []
    assert "| cpu | A & B |" in page
    main = first[tmp_path / "README.md"]
    assert [what for what in MAIN_KEYS.values() if what not in main] == []
    assert len(main.splitlines()) <= len((ROOT / "README.md").read_text().splitlines()) + 3
    assert set(json.loads(first[tmp_path / "benchmarks" / "results" / "run.json"].strip())) >= set(GOALS)


def test_the_pages_show_the_stored_run() -> None:
    """Fails if a table was changed by hand, or if only a part of what --write wrote was committed."""
    results = Results.from_dict(json.loads((ROOT / "benchmarks" / "results" / "run.json").read_text()))
    pages = {name: (ROOT / name).read_text() for name in ("README.md", "benchmarks/README.md")}

    assert set(GOALS) == {figure.key for figure in results.figures}
    assert pages_of(results) == pages


def pages_of(results: Results) -> dict[str, str]:
    from benchmarks.bench.pages import goals_table, machine_table, main_table

    page = (ROOT / "benchmarks" / "README.md").read_text()
    return {
        "README.md": between((ROOT / "README.md").read_text(), "bench", main_table(results)),
        "benchmarks/README.md": between(
            between(page, "goals", goals_table(results)), "machine", machine_table(results)
        ),
    }
