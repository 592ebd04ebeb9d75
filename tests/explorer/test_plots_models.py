from __future__ import annotations

import dataclasses

import holoviews as hv
import pytest
from msgspec.structs import replace

from galaxy_explorer.explorer.pages.codebooks.curves import Tradeoff, Training, rule_table
from galaxy_explorer.explorer.plots.models import (
    tradeoff,
    tradeoff_columns,
    tradeoff_points,
    training_curves,
)
from galaxy_explorer.explorer.widgets.controls import model_choices, named_galaxies, report_models


def test_points_come_from_the_evaluation_where_there_is_one(bundle, evaluated):
    assert tradeoff_points(evaluated) == list(evaluated.evaluation.tradeoff)
    points = tradeoff_points(bundle)
    assert [f"{point.model}/{point.features}" for point in points] == list(bundle.clusterings)
    assert (
        points[0].eta2 == bundle.clusterings[next(iter(bundle.clusterings))].agreement["eta2"].value
    )


@pytest.mark.parametrize("distinction", ["eta2", "ami"])
def test_bars_hold_their_points(evaluated, distinction):
    columns = tradeoff_columns(evaluated, tradeoff_points(evaluated), distinction)
    for x, left, right in zip(columns["x"], columns["left"], columns["right"], strict=True):
        assert left <= x <= right
    for y, low, high in zip(columns["y"], columns["low"], columns["high"], strict=True):
        assert low <= y <= high
    assert len({len(values) for values in columns.values()}) == 1


def test_a_series_says_how_many_codes_only_where_it_begins_and_ends(evaluated):
    point = tradeoff_points(evaluated)[0]
    series = [replace(point, codes=codes) for codes in (64, 512, 16, 128)]
    assert tradeoff_columns(evaluated, series, "eta2")["short"] == ["", "512", "16", ""]
    for codes in (None, 0):
        without = replace(point, codes=codes)
        assert tradeoff_columns(evaluated, [without], "eta2")["short"] == [""]


def test_points_without_a_figure_are_left_out(evaluated):
    points = tradeoff_points(evaluated)
    some = [replace(points[0], nmse=None), replace(points[1], eta2=None), *points[2:]]
    assert len(tradeoff_columns(evaluated, some, "eta2")["x"]) == len(points) - 2


def test_the_axes_hold_every_bar_and_lines_run_from_few_codes_to_many(bundle):
    columns = tradeoff_columns(bundle, tradeoff_points(bundle), "eta2")
    plot = hv.render(tradeoff(columns, "η² of T"), backend="bokeh")
    assert plot.x_range.start <= min(columns["left"]) <= max(columns["right"]) <= plot.x_range.end
    assert plot.y_range.start <= min(columns["low"]) <= max(columns["high"]) <= plot.y_range.end
    words = {item.label["value"] for item in plot.legend[0].items}
    assert words == set(columns["kind"])


def test_models_without_a_codebook_are_always_among_the_points(bundle):
    view = Tradeoff(bundle)
    view.features = "codes"
    view.features = "index"
    points = [part for part in view.figure.object if isinstance(part, hv.Scatter) and part.label]
    words = [text for part in points for text in part.dimension_values("words")]
    assert any("ConvAE" in text for text in words)
    assert all("index" in text or "ConvAE" in text for text in words)


def parts(figure, kind):
    return [part for part in figure if isinstance(part, kind) and len(part)]


def test_each_training_has_a_curve_and_a_ring_where_the_rule_was_met(bundle):
    models = list(bundle.models.values())
    figure = training_curves(models, "NMSE")
    assert len(parts(figure, hv.Curve)) == len(models)
    met = [model.early_stop_step for model in models if model.early_stop_step is not None]
    rings = [float(ring.dimension_values("step")[0]) for ring in parts(figure, hv.Scatter)]
    assert rings == met
    without = [model for model in models if model.kind == "convae"]
    assert not parts(training_curves(without, "Perplexity"), hv.Curve)


def test_the_table_says_what_stopping_would_have_cost(bundle):
    entry = bundle.models["k16-modern-8x8"]
    table = rule_table([entry, replace(entry, early_stop_step=None)])
    assert f"step {entry.early_stop_step:,}" in table
    assert f"{100 * entry.early_stop_cost:.1f} % more error" in table
    assert "not within these steps" in table


def test_curves_follow_the_models_and_the_switch(bundle):
    view = Training(bundle, models=["k16-modern-8x8"])
    assert view.view.visible
    view.models = ["k16-modern-8x8", "k512-modern-8x8"]
    assert len(parts(view.figure.object, hv.Curve)) == 2
    view.figure_of = "Codes that changed"
    shown = parts(view.figure.object, hv.Curve)
    curves = [view.bundle.models[name].curve for name in view.models]
    assert [line.dimension_values("value").tolist() for line in shown] == [
        [row["codes_changed"] for row in curve] for curve in curves
    ]


def test_the_models_of_the_report_are_found_where_there_are_any(bundle):
    assert report_models(bundle) == ["k512-paper-8x8", "k16-modern-8x8", "convae-conv"]
    models = {"k64-modern-8x8": bundle.models["k16-modern-8x8"]}
    other = dataclasses.replace(bundle, manifest=replace(bundle.manifest, models=models))
    assert report_models(other) == ["k64-modern-8x8"]
    assert set(model_choices(bundle).values()) == set(bundle.models)


def test_names_are_found_whatever_their_case_and_blanks(bundle):
    assert named_galaxies(bundle, "GALAXY-0001,ngc 7 ; Galaxy - 0001") == ([1, 7], [])
    assert named_galaxies(bundle, "m 31, galaxy-0002") == ([2], ["m 31"])
    assert named_galaxies(bundle, " , ") == ([], [])
