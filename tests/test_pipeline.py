from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from msgspec import structs

from galaxy_explorer import load_bundle
from galaxy_explorer.bundle.clusterings import VIEWS
from galaxy_explorer.errors import TrainingError
from galaxy_explorer.evaluation.context import find_models
from galaxy_explorer.evaluation.trainings import further_trainings
from galaxy_explorer.pipeline.autoencoders import Autoencoders, find_replicas
from galaxy_explorer.pipeline.clusters import alignment, chance_of_sharing, kept_together
from galaxy_explorer.pipeline.train import make_plan, train_bundle
from galaxy_explorer.survey.store import Survey, SurveySpec
from galaxy_explorer.survey.writer import SurveyWriter
from tests.small_survey import write_small_survey
from tests.trained_bundle import MODELS, NOT_SHIPPED, copied, flat_map, small_study

# Training has no share in a test's time: on a machine with much to do it takes many minutes.
pytestmark = pytest.mark.timeout(3600)

PRIOR = MODELS[0]
FURTHER = NOT_SHIPPED
KEY = "k16-modern-8x8/codes"


@pytest.fixture(scope="module")
def trained(trained_plan, tmp_path_factory):
    """The plan of a trained bundle; what is written here no other file sees."""
    with small_study():
        yield copied(trained_plan, tmp_path_factory.mktemp("bundles"))


@pytest.fixture
def bundle(trained):
    return load_bundle(trained.out)


@pytest.mark.slow
def test_the_bundle_agrees_with_itself(bundle, trained):
    from galaxy_explorer.models.inference import encode_stamps, reconstruction_errors

    survey = trained.survey
    np.testing.assert_array_equal(bundle.column("galaxy_id"), survey.column("galaxy_id"))
    stamps = survey.model_input()
    for name in MODELS:
        model = bundle.load_model(name)
        np.testing.assert_array_equal(encode_stamps(model, stamps), bundle.encoded(name))
        errors = reconstruction_errors(model, stamps, bundle.encoded(name))
        np.testing.assert_allclose(errors, bundle.column(f"{name}/error"), rtol=1e-5)
        test = bundle.column("split") == "test"
        assert bundle.models[name].metrics["mse"] == pytest.approx(errors[test].mean(), rel=1e-5)


@pytest.mark.slow
def test_clusters_follow_from_features_and_mixture(bundle):
    kinds = ("index", "codes", "rings", "aligned")
    expected = {f"k16-modern-8x8/{kind}" for kind in kinds}
    assert set(bundle.clusterings) == {*expected, "convae-conv/latents"}
    for clustering in bundle.clusterings.values():
        shares = clustering.mixture.responsibilities(clustering.feature_values)
        np.testing.assert_array_equal(shares.argmax(1), clustering.labels)
        np.testing.assert_allclose(shares.max(1), clustering.responsibility, rtol=1e-5)
        assert sum(c.count for c in clustering.clusters) == len(bundle)


@pytest.mark.slow
def test_of_further_trainings_the_figures_ship_and_the_rest_stays_in_the_work_folder(
    bundle, trained
):
    shipped = {(entry.name, entry.seed) for entry in bundle.manifest.extra_trainings}
    assert shipped == {(FURTHER, 0), (MODELS[0], 1)}
    assert not any(FURTHER in name for name in bundle.manifest.files)
    further = bundle.manifest.extra_trainings[0]
    assert {"nmse", "nmse_top_permuted", "nmse_bottom_mean"} <= further.metrics.keys()
    for entry in (*bundle.manifest.models.values(), *bundle.manifest.extra_trainings):
        assert [row["step"] for row in entry.curve] == list(range(3, 61, 3))
    replicas = find_replicas(trained.work, trained.survey)
    found = {(replica.name, replica.seed): replica for replica in replicas}
    assert found.keys() == shipped | {(name, 0) for name in MODELS}
    first, second = found[MODELS[0], 0], found[MODELS[0], 1]
    np.testing.assert_array_equal(first.codes, bundle.codes(MODELS[0]))
    assert first.metrics == bundle.models[MODELS[0]].metrics
    assert not np.array_equal(first.codebook, second.codebook)
    assert first.codebook.shape == (16, 64)
    assert second.metrics == bundle.manifest.extra_trainings[1].metrics
    assert found["convae-conv", 0].codes.shape == (len(bundle), 64)
    assert found["convae-conv", 0].codebook is None
    assert found[FURTHER, 0].load().config.name == FURTHER


@pytest.mark.slow
def test_a_later_run_still_tells_of_the_trainings_of_an_earlier_one(bundle, trained, tmp_path):
    shutil.copytree(trained.work, tmp_path / "blobs.work")
    later = replace(trained, out=tmp_path / "blobs", extra_configs=(), seeds=1)
    made = load_bundle(train_bundle(later, lambda _: None))
    assert made.manifest.extra_trainings == bundle.manifest.extra_trainings


@pytest.mark.slow
def test_an_evaluation_tells_of_trainings_that_the_bundle_does_not_know(bundle, trained):
    replicas = find_replicas(trained.work, trained.survey)
    known = bundle.manifest.extra_trainings
    assert further_trainings(bundle, replicas) == list(known)
    alone = replace(bundle, manifest=structs.replace(bundle.manifest, extra_trainings=()))
    found = further_trainings(alone, replicas)
    assert [entry.name for entry in found] == [entry.name for entry in known]
    assert found[1] == known[1]
    earlier = structs.replace(known[1], curve=known[1].curve[:3])
    other = replace(bundle, manifest=structs.replace(bundle.manifest, extra_trainings=(earlier,)))
    assert further_trainings(other, replicas)[1] == known[1]


@pytest.mark.slow
def test_what_ships_is_one_training_and_measured_whole_whatever_its_seed(bundle, trained):
    replicas = find_replicas(trained.work, trained.survey)
    usual = find_models(bundle, replicas, None)
    recipe = {**bundle.manifest.recipe, "seed": 5}
    fifth = replace(bundle, manifest=structs.replace(bundle.manifest, recipe=recipe))
    assert {one.seed for one in find_replicas(trained.work, trained.survey, 5)} == {1, 5}
    others = [replace(one, seed=one.seed + 5) for one in replicas]
    found = find_models(fifth, others, None)
    assert [(one.name, one.seed - 5, one.shipped) for one in found] == [
        (one.name, one.seed, one.shipped) for one in usual
    ]
    assert [one.fully_evaluated for one in found] == [one.fully_evaluated for one in usual]
    assert {one.seed for one in find_models(fifth, others, 1)} == {5}


@pytest.mark.slow
def test_replicas_of_other_pixels_or_with_altered_weights_are_left_out(trained, tmp_path):
    other = write_small_survey(tmp_path / "other", seed=5)
    assert find_replicas(trained.work, other) == []
    assert find_replicas(trained.work, split_otherwise(trained.survey, tmp_path / "split")) == []
    assert find_replicas(tmp_path / "nowhere", trained.survey) == []
    work = shutil.copytree(trained.work, tmp_path / "work")
    weights = work / "weights" / f"{MODELS[0]}.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    left = {(replica.name, replica.seed) for replica in find_replicas(work, trained.survey)}
    assert (MODELS[0], 0) not in left
    assert (MODELS[0], 1) in left


@pytest.mark.slow
def test_features_do_not_change_when_a_stamp_is_turned(bundle, trained):
    from galaxy_explorer.models.inference import orbit_mean_vectors

    clustering = bundle.clusterings[KEY]
    model = bundle.load_model(clustering.model)
    stamps = trained.survey.model_input(np.arange(8))
    for turned in (np.rot90(stamps, axes=(-2, -1)), stamps[..., ::-1]):
        features = clustering.feature_map.apply(orbit_mean_vectors(model, turned))
        np.testing.assert_allclose(features, clustering.feature_values[:8], atol=5e-3)


@pytest.mark.slow
def test_nmse_is_in_units_of_the_variance_of_the_training_pixels(bundle, trained):
    train = trained.survey.model_input()[bundle.column("split") == "train"]
    for entry in bundle.models.values():
        ratio = entry.metrics["mse"] / entry.metrics["nmse"]
        assert ratio == pytest.approx(train.var(dtype=np.float64), rel=1e-4)


@pytest.mark.slow
def test_the_card_has_the_figures_of_the_manifest(bundle):
    for name, entry in bundle.models.items():
        assert f"| {name} | {entry.steps:,} |" in bundle.card
        assert f"{entry.metrics['nmse']:.4f}" in bundle.card
    for clustering in bundle.clusterings.values():
        assert f"{clustering.agreement['ami'].value:.3f}" in bundle.card


@pytest.mark.slow
def test_the_prior_ships_with_the_weights_that_were_measured(bundle, trained):
    from galaxy_explorer.emulation.emulator import Emulator, Request
    from galaxy_explorer.models.conditions import condition_of
    from galaxy_explorer.models.prior_training import PriorData, likelihood

    assert list(bundle.priors) == [f"{PRIOR}/pixelcnn"]
    assert trained.with_prior == [PRIOR]
    entry, test = bundle.prior(PRIOR), np.flatnonzero(bundle.column("split") == "test")
    given = {field.name: field.values(bundle.column)[test] for field in entry.fields}
    condition = condition_of(entry.fields, given, len(test))
    data = PriorData(bundle.codes(PRIOR)[test][:, None], condition, np.ones(len(test)))
    figures = likelihood(bundle.load_prior(PRIOR), data, seed=0)
    assert figures == pytest.approx(entry.metrics, rel=1e-4, abs=1e-4)
    assert f"{entry.metrics['nll']:.2f}" in bundle.card
    assert Emulator.open(bundle).codes(Request(2)).shape == (2, *bundle.codes(PRIOR).shape[1:])


def refuse(*_, **__):
    raise RuntimeError("a finished stage ran again")


@pytest.mark.slow
def test_a_rerun_computes_nothing_and_changes_nothing(trained, monkeypatch):
    before = load_bundle(trained.out)
    monkeypatch.setattr("galaxy_explorer.models.autoencoder_training.train_model", refuse)
    monkeypatch.setattr("galaxy_explorer.models.inference.encode_stamps", refuse)
    monkeypatch.setattr("galaxy_explorer.pipeline.prior._Prior.train", refuse)
    for name in ("fit_map", "fit_mixture", "agreement", "cluster_summaries"):
        monkeypatch.setattr(f"galaxy_explorer.pipeline.clusters.{name}", refuse)
    said: list[str] = []
    train_bundle(trained, said.append)
    after = load_bundle(trained.out)
    assert "0 to train, 5 trained already" in "\n".join(said)
    kept = {name: entry for name, entry in after.manifest.files.items() if name != "README.md"}
    assert kept.items() <= before.manifest.files.items()


@pytest.mark.slow
def test_new_scores_for_a_new_catalogue_but_no_new_training(trained, tmp_path, monkeypatch):
    import pyarrow.parquet as pq

    survey = shutil.copytree(trained.survey.path, tmp_path / "blobs")
    table = pq.read_table(survey / "catalog.parquet")
    place = table.column_names.index("ttype")
    table = table.set_column(place, "ttype", table["ttype"].slice(0).combine_chunks())
    pq.write_table(table, survey / "catalog.parquet", compression="gzip")
    monkeypatch.setattr("galaxy_explorer.models.autoencoder_training.train_model", refuse)
    monkeypatch.setattr("galaxy_explorer.pipeline.clusters.fit_mixture", refuse)
    runs = []
    from galaxy_explorer.pipeline import clusters

    original = clusters.agreement
    monkeypatch.setattr(
        clusters, "agreement", lambda *a, **k: runs.append(1) or original(*a, bootstraps=3, **k)
    )
    plan = make_plan(survey, trained.out, recipe="tiny", models=MODELS, seeds=2)
    train_bundle(plan, lambda _: None)
    assert len(runs) == 2 * len(plan.clusterings)


@pytest.mark.slow
def test_altered_weights_are_exported_again(trained, monkeypatch):
    weights = trained.work / "weights" / "k16-modern-8x8.safetensors"
    intact = weights.read_bytes()
    weights.write_bytes(intact[:-8])
    monkeypatch.setattr("galaxy_explorer.pipeline.clusters.fit_map", flat_map)
    train_bundle(trained, lambda _: None)
    assert weights.read_bytes() == intact


def split_otherwise(survey: Survey, path) -> Survey:
    """The same galaxies and stamps, as where repeats of a galaxy became known: one is held out."""
    import pyarrow.parquet as pq

    catalog = shutil.copytree(survey.path, path) / "catalog.parquet"
    table = pq.read_table(catalog)
    splits = table["split"].to_pylist()
    splits[splits.index("train")] = "test"
    table = table.set_column(table.column_names.index("split"), "split", [splits])
    pq.write_table(table, catalog)
    return Survey.open(path)


@pytest.mark.slow
@pytest.mark.parametrize("change", ["pixels", "splits"])
def test_other_pixels_or_splits_start_the_training_anew(trained, tmp_path, change):
    if change == "pixels":
        other = write_small_survey(tmp_path / "other", seed=5).path
    else:
        other = split_otherwise(trained.survey, tmp_path / "other").path
    work = shutil.copytree(trained.work, tmp_path / "bundle.work")
    plan = make_plan(other, tmp_path / "bundle", recipe="tiny", models=MODELS)
    stages = Autoencoders(plan)
    assert not stages.is_trained(plan.configs[0])
    folder = stages.training_folder(plan.configs[0])
    assert folder == work / "models" / "k16-modern-8x8"
    assert [file.name for file in folder.iterdir()] == ["inputs.json"]


@pytest.mark.slow
def test_bands_and_colour_are_measured_where_there_are_several(tmp_path):
    survey = write_small_survey(tmp_path / "colour", n=80, band="r, g").path
    plan = make_plan(survey, tmp_path / "out", recipe="tiny", models=("k16-modern-8x8",))
    metrics = Autoencoders(plan).products(plan.configs[0]).metrics
    assert 0 < metrics["nmse_r"] < 2
    assert 0 < metrics["nmse_g"] < 2
    assert metrics["g_r_kept_low"] <= metrics["g_r_kept"] <= metrics["g_r_kept_high"]
    assert metrics["g_r_slope_real"] < 0


@pytest.mark.slow
def test_manifest_says_what_was_done(bundle):
    manifest = json.loads((bundle.path / "manifest.json").read_text())
    assert manifest["recipe"]["name"] == "tiny"
    assert sum(manifest["survey"]["splits"].values()) == len(bundle)
    assert manifest["display_model"] == "k64-modern-16x16"
    assert manifest["default_clustering"] == "k16-modern-8x8/aligned"


def seen_by_another(survey: Survey, path) -> Survey:
    """Every other galaxy of a survey as somebody else renders it: flatter and brighter."""
    rows = np.arange(0, len(survey), 2)
    meta = survey.meta
    spec = SurveySpec(
        name="other", source="drawn", band=meta["band"], state="arcsinh",
        stamp_size=meta["stamp_size"], channels=meta["channels"],
    )  # fmt: skip
    writer = SurveyWriter(path, spec, recipe={})
    stamps = np.float32(0.1 + 0.7 * survey.model_input(rows))
    writer.append(stamps, {"galaxy_id": survey.column("galaxy_id")[rows]}, cursor=len(rows))
    return writer.finish({"catalog_rows": len(rows)})


@pytest.mark.slow
def test_aligned_features_forget_who_took_the_picture(trained, tmp_path):
    other = seen_by_another(trained.survey, tmp_path / "other")
    plan = replace(trained, aligned_with=(other,))
    stages = Autoencoders(plan)
    config = next(one for one in plan.configs if one.name == "k16-modern-8x8")
    products = stages.products(config)
    looks = kept_together(stages, products)["looks"]
    assert [look["name"] for look in looks] == [VIEWS, "other"]
    assert looks[1]["used"] + looks[1]["held"] == len(other)
    assert looks[1]["found"].startswith(f"{len(other)} by id")
    # Law: a move that the fit did not see is shrunk.
    for look in looks:
        assert look["after"]["moved"] < look["before"]["moved"]
        assert 0 <= look["after"]["same_cluster_low"] <= look["after"]["same_cluster_high"] <= 1
    # Second looks at galaxies of the other splits are measured, not used.
    held = alignment(stages, products).arrays["again.1.rows"]
    assert set(stages.splits[held]) == {"validation", "test"}


def test_a_galaxy_shares_no_cluster_with_itself_by_chance():
    rng = np.random.default_rng(0)
    galaxy = np.repeat(np.arange(30), rng.integers(1, 4, 30))
    one, two = rng.integers(5, size=30)[galaxy], rng.integers(6, size=len(galaxy))
    others = galaxy[:, None] != galaxy[None, :]
    expected = (one[:, None] == two[None, :])[others].mean()
    assert chance_of_sharing(one, two, galaxy) == pytest.approx(expected)
    assert chance_of_sharing(np.arange(9), np.arange(9), np.arange(9)) == 0


def test_a_survey_with_too_few_galaxies_in_common_is_refused(trained, tmp_path):
    stranger = write_small_survey(tmp_path / "stranger", n=40)
    with pytest.raises(TrainingError, match=r"--aligned-with .* 0 galaxies in common"):
        make_plan(
            trained.survey.path, tmp_path / "out", recipe="tiny", models=MODELS,
            aligned_with=[stranger.path],
        )  # fmt: skip
    colour = write_small_survey(tmp_path / "colour", n=40, band="r, g")
    with pytest.raises(TrainingError, match=r"channels 2, of .* 1; ingest it"):
        make_plan(
            trained.survey.path, tmp_path / "out", recipe="tiny", models=MODELS,
            aligned_with=[colour.path],
        )  # fmt: skip


def test_the_manifest_says_on_which_second_looks_a_clustering_stands(bundle):
    (look,) = bundle.manifest.clusterings["k16-modern-8x8/aligned"].alignment["looks"]
    assert look["name"] == VIEWS
    assert look["used"] == 3 * bundle.manifest.survey.splits["train"]
    line = f"| {VIEWS} | {look['found']} | {look['used']:,} | {look['held']:,} |"
    assert line in (bundle.path / "README.md").read_text()
    assert look["after"]["moved"] < look["before"]["moved"]
