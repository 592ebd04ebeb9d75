"""The Deconvolution page without a browser: with the survey, without it, with other stamps."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from msgspec.structs import replace

from galaxy_explorer.bundle.bundle import load_bundle
from galaxy_explorer.bundle.evaluation import Band, DeconvolutionFigure, DeconvolutionMeasures
from galaxy_explorer.explorer.pages.deconvolution import (
    DECONVOLVED,
    ORIGINAL,
    RECONSTRUCTION,
    RECONVOLVED,
    RESIDUAL,
    TRUTH,
    DeconvolutionPage,
    SceneSource,
    figure_table,
    figures_html,
    profile,
    with_bar,
)
from galaxy_explorer.explorer.pages.registry import has_psf_model
from galaxy_explorer.explorer.plots.models import radial_profiles
from galaxy_explorer.explorer.state import ExplorerState
from tests.deconvolution.scenes import gaussian
from tests.small_psf_bundle import write_small_hst_survey, write_small_psf_bundle

ROWS = np.array([0, 5])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("deconvolution")
    survey = write_small_hst_survey(folder / "survey")
    write_small_psf_bundle(folder / "bundle", survey)
    write_small_psf_bundle(folder / "plain", survey, figures=False)
    return folder


def test_with_the_survey_everything_is_shown_and_fits_together(folder: Path) -> None:
    source = SceneSource(load_bundle(folder / "bundle"), str(folder / "survey"))
    scenes = source.scenes(ROWS)
    kinds = {ORIGINAL, RECONSTRUCTION, DECONVOLVED, RECONVOLVED, RESIDUAL, TRUTH}
    assert set(scenes.pictures) == kinds
    assert len(scenes.names) == len(ROWS)
    chi2 = np.square(scenes.pictures[RESIDUAL], dtype=float).mean((1, 2))
    assert scenes.chi2[RECONVOLVED] == pytest.approx(chi2)
    assert (scenes.chi2[RECONVOLVED] < scenes.chi2[RECONSTRUCTION]).all()
    assert source.test_rows.tolist() == list(range(12))


def test_without_the_survey_galaxies_are_drawn_from_their_codes(folder: Path) -> None:
    source = SceneSource(load_bundle(folder / "bundle"), "")
    scenes = source.scenes(ROWS)
    assert set(scenes.pictures) == {RECONSTRUCTION, DECONVOLVED}
    assert scenes.chi2 == {}


def test_stamps_of_another_survey_are_deconvolved_too(folder: Path, tmp_path: Path) -> None:
    from galaxy_explorer.survey.simulation.survey import simulate_survey

    simulate_survey(tmp_path / "other", like="candels", n=3, seed=8)
    source = SceneSource(load_bundle(folder / "bundle"), str(tmp_path / "other"))
    assert len(source.test_rows) == 3
    assert source.scenes(np.array([1])).names == (str(source.names[1]),)


def test_a_survey_that_does_not_fit_is_left_aside(folder: Path, tmp_path: Path) -> None:
    from tests.small_survey import write_small_survey

    write_small_survey(tmp_path / "sdss", n=20)
    source = SceneSource(load_bundle(folder / "bundle"), str(tmp_path / "sdss"))
    assert source.survey is None


def test_the_page_is_made_with_and_without_figures(folder: Path) -> None:
    for name in ("bundle", "plain"):
        bundle = load_bundle(folder / name)
        context = SimpleNamespace(settings=SimpleNamespace(survey=""), bundle=bundle)
        assert has_psf_model(context)
        page = DeconvolutionPage(ExplorerState(bundle), context)
        scenes, content = page._content(ROWS, page.state.display)
        assert content["sheet_rows"] == len(content["rows"]) == 2
        assert [g["words"] for g in content["columns"]] == list(scenes.names)
        assert page.pages == 2


def test_the_profile_of_a_gaussian_falls_as_it_should() -> None:
    radius, value = profile(gaussian(sigma=6), 0.06)
    expected = value[0] * np.exp(-0.5 * (radius / 0.36) ** 2)
    assert value[:20] == pytest.approx(expected[:20], rel=0.12)
    line = radial_profiles({"truth": (radius, 1000 * value)}).Curve.Truth
    assert line.dimension_values("v")[:20] == pytest.approx(1000 * value[:20])


def test_the_bar_is_an_arcsec_long() -> None:
    marked = with_bar(np.full((1, 84, 84, 3), 90, np.uint8), 0.06)
    assert (marked[0] == 255).all(2).sum() == round(1 / 0.06)


def test_figures_are_grouped_and_their_text_is_escaped(folder: Path) -> None:
    figure = DeconvolutionFigure(20.0, "<i>", "<b>", 1.0, low=0.0, high=2.0, n=9, unit="%")
    figures, band = (figure, replace(figure, peak_sn=5.0)), Band(5.0, (), ())
    found = DeconvolutionMeasures(1, "k16-psf-21x21", figures, band)
    assert [row["peak_sn"] for row in figure_table(found)] == [5.0, 20.0]
    html = figures_html(found)
    assert "&lt;i&gt;" in html
    assert "<i>" not in html
