"""Model cards and CLAIMS.md: written from what a bundle holds, whatever that is."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest
from msgspec.structs import replace

from galaxy_explorer.bundle.bundle import load_bundle, read_deconvolution
from galaxy_explorer.bundle.card import (
    Markdown,
    claims_text,
    escape,
    model_card,
    reconstruction_table,
    table,
    train_command,
)
from galaxy_explorer.bundle.manifest import CardFigure
from galaxy_explorer.evaluation.rows import RowKey, make_row
from tests.small_bundle import write_small_bundle
from tests.small_evaluation import small_evaluation

HOSTILE = 'a|b<script>alert("x")</script>\n| c | d |\n\n# Owned <img src=x>'


@pytest.mark.parametrize("name", ["sdss", "report", "candels"])
def test_the_figures_of_the_cards_that_ship_are_those_of_their_bundles(name):
    bundle = load_bundle(f"trained/{name}")
    text = model_card(
        bundle.manifest,
        evaluation=bundle.evaluation,
        emulation=bundle.emulation,
        deconvolution=read_deconvolution(bundle),
    )
    assert tables_of(text) == tables_of(bundle.card)


def test_a_card_says_how_its_models_were_made(tmp_path):
    manifest = load_bundle(write_small_bundle(tmp_path / "b")).manifest
    recipe = {"name": "quick", "steps": 70, "seed": 4}
    models = {name: manifest.models[name] for name in list(manifest.models)[:2]}
    key = manifest.default_clustering
    looks = {"looks": [{"name": "artificial looks"}, {"name": "hst"}]}
    clusterings = {key: replace(manifest.clusterings[key], alignment=looks)}
    made = replace(
        manifest, recipe=recipe, models=models, clusterings=clusterings,
        extra_trainings=(SimpleNamespace(seed=5),),
    )  # fmt: skip
    assert train_command(made) == (
        f"galaxy-explorer train surveys/{made.survey.name} --out trained/{made.name}"
        f" --models {','.join(models)} --recipe quick --steps 70 --seed 4 --seeds 2"
        " --aligned-with surveys/hst"
    )


def test_a_card_says_which_networks_were_begun_again(tmp_path):
    manifest = load_bundle(write_small_bundle(tmp_path / "b")).manifest
    assert "begun as number" not in model_card(manifest)
    name = next(iter(manifest.models))
    models = manifest.models | {name: replace(manifest.models[name], starts=2)}
    assert f"`{name}` is the network begun as number 2: " in model_card(
        replace(manifest, models=models)
    )


def tables_of(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines() if line.startswith(("|", "#"))]


def test_the_claims_that_ship_are_those_of_the_evaluation():
    bundle = load_bundle("trained/report")
    text = (bundle.path / "CLAIMS.md").read_text()
    assert claims_text(bundle.name, bundle.evaluation).split() == text.split()


def rows_of(text: str) -> list[int]:
    """Numbers of cells of the lines of tables."""
    return [line.count("|") for line in text.splitlines() if line.startswith("|")]


def test_texts_of_a_bundle_stay_in_their_cells_and_are_no_html(tmp_path):
    manifest = load_bundle(write_small_bundle(tmp_path / "b")).manifest
    source = {"source": HOSTILE, "accepted": 1, "rejected": 0}
    survey = replace(manifest.survey, band=HOSTILE, sources=(source,))
    hostile = replace(
        manifest,
        hardware=HOSTILE,
        software=HOSTILE,
        survey=survey,
        figures=(CardFigure(HOSTILE, HOSTILE, HOSTILE),),
    )
    plain = replace(hostile, figures=(CardFigure("-", "-", "-"),))
    text, same = model_card(hostile), model_card(plain)
    assert "<script" not in text
    assert "<img" not in text
    assert "\n# Owned" not in text
    assert rows_of(text) == rows_of(same)


def test_a_figure_of_fewer_trainings_says_of_how_many():
    """The column of trainings is that of the first figure."""
    rows = [
        replace(make_row(RowKey("a"), "reconstruction", figure, {"value": 0.5}, n=9), seed_count=n)
        for figure, n in (("NMSE", 3), ("blur", 1), ("SSIM", 3))
    ]
    text = reconstruction_table(replace(small_evaluation(), rows=tuple(rows)))
    assert text.splitlines()[2] == "| a | 3 | 0.500 | 0.500, of 1 | 0.500 | - | - | - | - |"


def test_claims_stay_in_their_cells_and_are_no_html():
    evaluation = small_evaluation()
    hostile = replace(evaluation.claims[0], words=HOSTILE, explanation=HOSTILE)
    changed = replace(evaluation, claims=(hostile, *evaluation.claims[1:]))
    text = claims_text("small", changed)
    assert "<script" not in text
    assert "\n# Owned" not in text
    assert rows_of(text) == rows_of(claims_text("small", evaluation))


def test_what_is_escaped_and_what_is_not():
    assert escape("T <= 0, p < 1e-6, a > b & c") == "T <= 0, p < 1e-6, a > b & c"
    assert escape("<b>x</b><!-- y --><?z") == "&lt;b>x&lt;/b>&lt;!-- y -->&lt;?z"
    assert escape(math.nan) == "-"
    assert escape(escape("a|b\n<i>")) == escape("a|b\n<i>") == "a/b &lt;i>"
    whole = table(["a", "b"], [["x|y", 1], ["two\nlines", math.nan]])
    assert whole == "| a | b |\n| --- | --- |\n| x/y | 1 |\n| two lines | - |"
    assert escape(whole) is whole
    assert isinstance(whole, Markdown)
