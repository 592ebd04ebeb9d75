from __future__ import annotations

import dataclasses
import shutil

import numpy as np
import pytest
from msgspec.structs import replace
from typer.testing import CliRunner

from galaxy_explorer import load_bundle
from galaxy_explorer.bundle.evaluation import QUESTIONS, VERDICTS, TrainingRow
from galaxy_explorer.bundle.manifest import ExtraTraining
from galaxy_explorer.cli import app
from galaxy_explorer.emulation import morphology
from galaxy_explorer.errors import SettingError, SurveyError
from galaxy_explorer.evaluation.context import Context
from galaxy_explorer.evaluation.reconstruction import KEPT
from galaxy_explorer.evaluation.run import evaluate_bundle, write_evaluation
from galaxy_explorer.pipeline.train import train_bundle
from galaxy_explorer.survey.store import Survey
from galaxy_explorer.utils.files import StageCache
from tests.evaluation.test_emulator import simple_measure
from tests.small_survey import write_small_survey
from tests.trained_bundle import MODELS, NOT_SHIPPED, copied, small_study

pytestmark = pytest.mark.timeout(3600)  # training has no share in a test's time


@pytest.fixture(scope="module")
def survey(trained_plan):
    return trained_plan.survey.path


@pytest.fixture(scope="module")
def bundle(trained_plan, tmp_path_factory):
    """The bundle as it is where every model was trained once."""
    plan = copied(trained_plan, tmp_path_factory.mktemp("bundles"))
    shutil.rmtree(plan.work / "seed-1.work")
    (plan.work / "weights" / f"{NOT_SHIPPED}.safetensors").unlink()
    with small_study():
        return train_bundle(dataclasses.replace(plan, extra_configs=(), seeds=1), lambda _: None)


@pytest.fixture(scope="module")
def _quick():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(morphology, "measure_one", simple_measure)
        yield


@pytest.fixture(scope="module")
def said():
    return []


@pytest.fixture(scope="module")
def evaluation(_quick, bundle, survey, said):
    return evaluate_bundle(bundle, survey, grid="tiny", say=said.append)


def figures(evaluation):
    return {
        (row.model, row.features, row.clusterer, row.clusters, row.figure): row.value
        for row in evaluation.rows
    }


@pytest.mark.slow
def test_every_question_has_its_figures(evaluation):
    assert {row.question for row in evaluation.rows} == set(QUESTIONS)
    assert {row.model for row in evaluation.rows} >= {*MODELS, "baseline", "supervised network"}
    for row in evaluation.rows:
        assert row.value is None or np.isfinite(row.value)
        if row.low is not None and row.high is not None:
            assert row.low <= row.high, row
    assert len(figures(evaluation)) == len(evaluation.rows)  # no figure twice


@pytest.mark.slow
def test_what_must_be_exact_is_exact(evaluation):
    found = figures(evaluation)
    turned = "ARI, rotated by 90 degrees"
    for key, value in found.items():
        if key[-1] == turned and "orbit mean" in key[1] and key[2] != "hdbscan":
            assert value > 0.99, key
    assert found["k16-modern-8x8", "codes", "kmeans", 64, "ARI, renumbered"] > 0.99
    assert found["k16-modern-8x8", "index", "gmm", 64, "ARI, renumbered"] < 0.9


@pytest.mark.slow
def test_random_clusters_are_at_the_level_of_chance(evaluation):
    rows = [row for row in evaluation.rows if row.clusterer == "random" and row.figure == "eta^2"]
    for row in rows:
        assert row.value == pytest.approx(row.chance, abs=0.35)


@pytest.mark.slow
def test_the_bundle_keeps_it(evaluation, bundle):
    opened = load_bundle(bundle)
    assert opened.evaluation == evaluation
    claims = (bundle / "CLAIMS.md").read_text()
    for claim in evaluation.claims:
        assert claim.verdict in VERDICTS
        assert claim.words in claims
        assert claim.words in opened.card
    key = evaluation.recommended
    assert key == opened.manifest.default_clustering
    assert len(evaluation.jaccard(key)) == opened.clusterings[key].mixture.n_components
    assert len(evaluation.trees[0].leaf) == len(opened)


@pytest.mark.slow
def test_trends_are_not_told_from_one_training(evaluation):
    claim = next(claim for claim in evaluation.claims if claim.id == "reconstruction-k")
    assert claim.verdict == "cannot be told"


@pytest.mark.slow
def test_a_rerun_measures_nothing_and_says_the_same(evaluation, bundle, survey, monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("a finished stage ran again")

    get = StageCache.get
    asked = []

    def get_stored(cache, stage, inputs, _compute):
        asked.append(stage)
        return get(cache, stage, inputs, refuse)

    monkeypatch.setattr(StageCache, "get", get_stored)
    again = evaluate_bundle(bundle, survey, grid="tiny", say=lambda _: None)
    assert again.rows == evaluation.rows
    assert again.claims == evaluation.claims
    assert len(asked) > 20


def without_morphology(evaluation):
    """Its rows but for those of statistics that only this process measures in a simpler way."""
    measured = {*KEPT.values()}
    rows = [r for r in evaluation.rows if r.figure not in measured]
    return [row for row in rows if row.features != "C, A, S, Gini, M20"]


@pytest.mark.slow
def test_workers_measure_what_one_process_does(evaluation, bundle, survey, tmp_path, monkeypatch):
    path = shutil.copytree(bundle, tmp_path / "sky")
    shutil.copytree(bundle.with_name("sky.work"), tmp_path / "sky.work")
    stages = tmp_path / "sky.work" / "evaluation" / "stages"
    shutil.rmtree(stages.parent, ignore_errors=True)
    missing, get = [], StageCache.get

    def noted(cache, stage, inputs, compute):
        if not cache.has(stage, inputs):
            missing.append(stage)
        return get(cache, stage, inputs, compute)

    monkeypatch.setattr(StageCache, "get", noted)
    options = {"grid": "tiny", "scheduler": "2", "say": lambda _: None}
    found = evaluate_bundle(path, survey, **options)
    assert [stage for stage in missing if not stage.endswith(".tree")] == []
    assert without_morphology(found) == without_morphology(evaluation)
    # What a killed worker had not finished is measured again, all else is left as it is.
    gone = min(stages.iterdir())
    left = {path: path.stat().st_mtime_ns for path in stages.iterdir() if path != gone}
    gone.unlink()
    assert evaluate_bundle(path, survey, **options).rows == found.rows
    assert {path: path.stat().st_mtime_ns for path in left} == left
    assert gone.is_file()


@pytest.mark.slow
def test_the_command_writes_into_a_copy(evaluation, bundle, survey, tmp_path):
    shutil.copytree(bundle, tmp_path / "sky")
    shutil.copytree(bundle.with_name("sky.work"), tmp_path / "sky.work")
    before = (tmp_path / "sky" / "manifest.sha256").read_text()
    out = tmp_path / "measured"
    options = ["--survey", str(survey), "--grid", "tiny", "--workers", "1", "--out", str(out)]
    done = CliRunner().invoke(app, ["evaluate", str(tmp_path / "sky"), *options])
    assert done.exit_code == 0, done.output
    assert f"{len(evaluation.rows)} figures" in done.output
    assert load_bundle(out).evaluation.rows == evaluation.rows
    assert (tmp_path / "sky" / "manifest.sha256").read_text() == before
    with pytest.raises(SettingError, match="--out"):
        evaluate_bundle(tmp_path / "sky", survey, grid="tiny", out=out, say=lambda _: None)


@pytest.mark.slow
def test_figures_of_a_training_that_is_gone_are_taken_over(evaluation, bundle, survey, tmp_path):
    path = shutil.copytree(bundle, tmp_path / "sky")
    shutil.copytree(bundle.with_name("sky.work"), tmp_path / "sky.work")
    assert evaluation.extra_trainings == ()
    gone = [row for row in evaluation.rows if row.model == "k16-modern-8x8" and row.value]
    extra = tuple(TrainingRow(1, replace(row, value=row.value + 0.1)) for row in gone)
    # Another model of which nothing ships stays in what is said of all models, too.
    extra += tuple(TrainingRow(0, replace(row, model="k32-modern-8x8")) for row in gone)
    opened = load_bundle(path)
    entry = opened.models["k16-modern-8x8"]
    told = ExtraTraining(
        name="k32-modern-8x8", kind=entry.kind, config={**entry.config, "num_embeddings": 32},
        steps=entry.steps, metrics=entry.metrics, seed=0,
    )  # fmt: skip
    write_evaluation(opened, replace(evaluation, extra_trainings=extra), [told])
    again = evaluate_bundle(path, survey, grid="tiny", say=lambda _: None)
    mean = next(r for r in again.rows if (r.model, r.figure) == ("k16-modern-8x8", "NMSE"))
    assert again.extra_trainings == extra
    assert again.settings["of an earlier evaluation"] == "2"
    drawn = {(point.model, point.codes) for point in again.tradeoff}
    assert {("k16-modern-8x8", 16), ("k32-modern-8x8", 32)} <= drawn
    before = next(row for row in gone if row.figure == "NMSE")
    assert (mean.seed_count, mean.value) == (2, pytest.approx(before.value + 0.05))
    assert load_bundle(path).evaluation == again


@pytest.mark.slow
def test_another_survey_or_grid_is_refused(bundle, survey, tmp_path):
    other = write_small_survey(tmp_path / "other", n=20)
    opened = load_bundle(bundle)
    with pytest.raises(SurveyError, match="none of the galaxies"):
        Context(opened, other, tmp_path, "tiny")
    with pytest.raises(SettingError, match="--grid huge"):
        Context(opened, Survey.open(survey), tmp_path, "huge")
