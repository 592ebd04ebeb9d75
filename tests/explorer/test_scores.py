from __future__ import annotations

import asyncio
import csv
import io
import re

import pytest
from astropy.table import Table
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from galaxy_explorer.bundle.evaluation import ROW_FIELDS, VERDICTS, Cost
from galaxy_explorer.explorer.assets import render
from galaxy_explorer.explorer.pages.claims import ClaimsPage, cards, verdict_counts
from galaxy_explorer.explorer.pages.scoreboard import (
    ALL,
    ScoreboardPage,
    choice_words,
    costs_table,
    csv_bytes,
    ecsv_bytes,
    groups,
    matching,
    targets_table,
    values_of,
)
from galaxy_explorer.explorer.plots.models import number_of_clusters
from galaxy_explorer.explorer.state import ExplorerState
from galaxy_explorer.explorer.widgets.intervals import (
    common_axis,
    format_figure,
    format_interval,
    interval_html,
)
from galaxy_explorer.explorer.wording import QUESTION_WORDS, format_entry
from tests.small_evaluation import small_evaluation

HOSTILE = "<script>alert(1)</script>"
numbers = st.floats(-1e6, 1e6)


@pytest.fixture(scope="module")
def evaluation():
    return small_evaluation()


@pytest.fixture
def page(evaluated, context) -> ScoreboardPage:
    return ScoreboardPage(ExplorerState(evaluated), context)


@given(st.lists(st.none() | numbers))
def test_an_axis_holds_zero_and_every_value(values):
    low, high = common_axis(values)
    known = [value for value in values if value is not None]
    assert low < high
    assert low <= min([0, *known])
    assert max([0, *known]) <= high


@given(numbers, numbers, numbers, st.none() | numbers, st.none() | numbers)
def test_marks_stay_on_the_axis_and_nothing_but_numbers_gets_in(value, low, high, chance, ceiling):
    axis = common_axis([value, low, high, chance, ceiling])
    drawn = interval_html(value, low, high, axis=axis, chance=chance, ceiling=ceiling)
    places = [float(text) for text in re.findall(r"left:([-\d.]+)%", drawn)]
    assert all(0 <= place <= 100 for place in places)
    assert drawn.count('class="chance"') == (chance is not None)
    assert drawn.count('class="ceiling"') == (ceiling is not None)


@pytest.mark.parametrize(
    ("value", "words"),
    [(None, "–"), (float("nan"), "–"), (-0.1234, "−0.123"), (12.345, "12.3"), (345.6, "346"),
     (12345.6, "12,346"), (0.00012, "1.2e−04"), (0.0, "0.000")],
)  # fmt: skip
def test_figures_in_words(value, words):
    assert format_figure(value) == words


def test_an_interval_in_words():
    assert format_interval(-0.1, 0.25) == "−0.100 to 0.250"
    assert format_interval(None, 0.25) == ""


def test_each_row_is_in_one_group_and_the_best_comes_first(bundle, evaluation):
    made = groups(bundle, evaluation.rows, "")
    assert sum(len(group["rows"]) for group in made) == len(evaluation.rows)
    assert len({group["label"] for group in made}) == len(made)
    assert [group["question"] for group in made if group["question"]] == [
        QUESTION_WORDS[name] for name in values_of(evaluation.rows, "question")
    ]
    for group in made:
        values = [float(row["value"].replace("−", "-").replace(",", "")) for row in group["rows"]]
        assert values == sorted(values, reverse="less is better" not in group["note"])


def test_rows_are_cut_off_and_sorted_as_asked(bundle, evaluation):
    few = groups(bundle, evaluation.rows, "", "features", 2)
    every = groups(bundle, evaluation.rows, "", "features")
    for short, whole in zip(few, every, strict=True):
        assert short["rows"] == whole["rows"][:2]
        left = len(whole["rows"]) - len(short["rows"])
        assert short["more"] == (f"{left:,} more rows" if left else "")
        features = [row["features"].replace("–", "") for row in whole["rows"]]
        assert features == sorted(features)


def test_a_row_without_a_value_comes_last(bundle, evaluation):
    rows = [replace(evaluation.rows[0], value=None), *evaluation.rows[7:21:7]]
    made = groups(bundle, rows, "")
    assert [row["value"] for group in made for row in group["rows"]][-1] == "–"


def test_filters_keep_what_has_every_chosen_value(evaluation):
    chosen = {"question": "agreement", "clusterer": "ward", "model": ALL}
    found = matching(evaluation.rows, chosen)
    assert found
    assert {(row.question, row.clusterer) for row in found} == {("agreement", "ward")}
    assert len({row.model for row in found}) == len(values_of(evaluation.rows, "model"))


def test_the_recommended_clustering_is_marked(bundle, evaluation):
    made = groups(
        bundle, matching(evaluation.rows, {"question": "agreement"}), "k16-modern-8x8/codes"
    )
    marked = [row for group in made for row in group["rows"] if row["recommended"]]
    assert marked
    assert {(row["model"], row["features"]) for row in marked} == {
        (format_entry(bundle, "k16-modern-8x8"), "codes")
    }


def test_a_csv_file_reads_back_equal(evaluation):
    rows = [replace(evaluation.rows[0], note='a "quoted", note\nwith a line'), *evaluation.rows[1:]]
    read = list(csv.DictReader(io.StringIO(csv_bytes(rows).decode(), newline="")))
    assert list(read[0]) == ROW_FIELDS
    assert [row["note"] for row in read] == [row.note for row in rows]
    values = [float(row["value"]) if row["value"] else None for row in read]
    assert values == [row.value for row in rows]


def test_no_cell_of_the_csv_file_is_a_formula(evaluation):
    rows = [replace(evaluation.rows[0], note="=1+1"), *evaluation.rows[1:]]
    read = list(csv.DictReader(io.StringIO(csv_bytes(rows).decode(), newline="")))
    assert read[0]["note"] == "'=1+1"


def test_an_ecsv_file_reads_back_equal(bundle, evaluation):
    table = Table.read(
        ecsv_bytes(evaluation.rows, evaluation, bundle).decode(), format="ascii.ecsv"
    )
    assert table.colnames == ROW_FIELDS
    assert table.meta["hash"] == bundle.hash
    for name in ("value", "chance", "clusters"):
        read = [None if value is None or str(value) == "--" else value for value in table[name]]
        assert read == pytest.approx([getattr(row, name) for row in evaluation.rows])
    assert list(table["model"]) == [row.model for row in evaluation.rows]


def test_the_page_opens_with_the_hubble_type(page):
    assert page.question == "agreement"
    assert {row.question for row in page.rows()} == {"agreement"}
    page.question = ALL
    assert len(page.rows()) == len(page.evaluation.rows)
    page.features = "index"
    page.all_rows = True
    shown = page.tables.object.count('<th scope="row"')
    assert shown == len(page.rows()) < len(page.evaluation.rows)


def test_downloads_hold_what_is_shown(page):
    page.param.update(question="stability", clusterer="ward")
    asyncio.run(page.downloads.deliver("csv"))
    read = list(csv.DictReader(io.StringIO(page.downloads.buttons.data.decode())))
    assert len(read) == len(page.rows()) > 0
    assert {row["clusterer"] for row in read} == {"ward"}
    assert page.downloads.buttons.file_name == "scoreboard.csv"


def test_parts_show_targets_curves_and_costs(bundle, evaluation):
    table = targets_table(evaluation.targets)
    assert table.count("<tr") == len(evaluation.targets) + 1
    assert "✓ met" in table
    assert "✗ missed" in table
    one = evaluation.number_of_clusters[0]
    assert "k = 5" in choice_words(bundle, one)
    assert len(number_of_clusters(one)) == len([name for name in one.curves if ", " not in name])
    assert f"{sum(cost.seconds for cost in evaluation.costs):,.1f} s" in costs_table(
        evaluation.costs
    )
    whole = costs_table((*evaluation.costs, Cost("all stages", 200.0, 1100.0)))
    assert whole.count("<tr") == len(evaluation.costs) + 2
    assert "200.0 s" in whole
    assert "292.5 s" not in whole  # the whole is no part


def test_no_text_of_an_evaluation_becomes_html(bundle, evaluation):
    claim = replace(evaluation.claims[0], id='"', words=HOSTILE, test=HOSTILE, rule=HOSTILE,
                    explanation=HOSTILE, section=HOSTILE)  # fmt: skip
    claim = replace(claim, figures=(replace(claim.figures[0], name=HOSTILE, unit=HOSTILE),))
    target = replace(evaluation.targets[0], name=HOSTILE, note=HOSTILE)
    cost = replace(evaluation.costs[0], stage=HOSTILE)
    row = replace(evaluation.rows[0], note=HOSTILE, features=HOSTILE, clusterer=HOSTILE)
    shown = (
        cards([claim])
        + targets_table([target])
        + costs_table([cost])
        + render("scoreboard.groups", groups=groups(bundle, [row], ""))
    )
    assert "<script" not in shown
    assert shown.count("&lt;script") >= 10


def test_each_verdict_is_counted_and_can_be_chosen(evaluated, context):
    page = ClaimsPage(ExplorerState(evaluated), context)
    claims = evaluated.evaluation.claims
    counts = verdict_counts(claims)
    assert list(counts) == list(VERDICTS)
    assert sum(counts.values()) == len(claims) == page.cards.object.count("<article")
    page.verdict = "partly"
    assert page.cards.object.count("<article") == counts["partly"]


@pytest.mark.parametrize(
    ("fewest", "words"),
    [(0, "no training."), (1, "at least one training each."), (3, "at least 3 trainings each.")],
)
def test_a_claim_names_models_in_words_and_its_fewest_trainings(
    evaluated, context, monkeypatch, fewest, words
):
    claims = evaluated.evaluation.claims
    figure = replace(claims[0].figures[0], name="eta^2, k16-modern-8x8")
    first = replace(claims[0], figures=(figure,), seeds=fewest)
    changed = replace(evaluated.evaluation, claims=(first,))
    monkeypatch.setattr(ClaimsPage, "_evaluation", changed)
    shown = ClaimsPage(ExplorerState(evaluated), context).cards.object
    assert "η², 16 codes, modern, 8×8 map" in shown
    assert f"<b>Based on</b>\n      {words}" in shown


@pytest.mark.parametrize("view", [ClaimsPage, ScoreboardPage])
def test_without_an_evaluation_the_command_is_named(view, state, context):
    shown = view(state, context).view.objects[0].object
    assert "galaxy-explorer evaluate" in shown
    assert str(state.bundle.path) in shown
