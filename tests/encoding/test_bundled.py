"""A bundle of an encoded survey: the networks of the training, the galaxies of the survey."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from typer.testing import CliRunner

import galaxy_explorer as ge
from galaxy_explorer.bundle import writer
from galaxy_explorer.bundle.bundle import load_bundle, verify_bundle
from galaxy_explorer.bundle.novelty import NOVELTY, PERCENTS, Novelty, known_percentiles, novelty_of
from galaxy_explorer.bundle.placing import choose, read_stamps
from galaxy_explorer.bundle.survey_check import check_survey
from galaxy_explorer.bundle.writer import add_files
from galaxy_explorer.cli import app
from galaxy_explorer.encoding import encode_survey, write_encoded_bundle
from galaxy_explorer.errors import BundleError, SettingError, SurveyError
from tests.encoding.conftest import MODEL, ROWS, N
from tests.small_bundle import CONVAE, PRIOR, write_small_bundle

MODELS = [PRIOR, CONVAE]


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A bundle that knows which error is usual, of nothing in particular."""
    path = write_small_bundle(tmp_path_factory.mktemp("source") / "known", n=60)
    bundle = load_bundle(path)
    rng, steps = np.random.default_rng(0), len(PERCENTS)
    rising = np.linspace(0, 40, steps)
    usual = Novelty(
        np.zeros(7), np.ones(7), np.eye(7), 0.0, 1.0, 99.0, rising, np.linspace(0, 2, steps),
        {name: rng.normal(size=36) / 50 for name in bundle.models},
        {name: np.linspace(-15, 5, steps) for name in bundle.models},
        {name: np.zeros(60, np.float32) for name in bundle.models},
    )  # fmt: skip
    add_files(path, {NOVELTY: usual.to_bytes()}, lambda _: "# known\n")
    return load_bundle(path)


@pytest.fixture(scope="module")
def encoded(source, survey, tmp_path_factory):
    out = tmp_path_factory.mktemp("encoded") / "out"
    return encode_survey(source, survey, out, models=MODELS, rows=ROWS)


@pytest.fixture(scope="module")
def made(source, encoded, tmp_path_factory):
    out = tmp_path_factory.mktemp("made") / "mine"
    return verify_bundle(write_encoded_bundle(source, encoded, out))


def test_its_galaxies_are_those_of_the_survey_as_the_networks_see_them(
    source, survey, encoded, made
):
    read = read_stamps(source, survey.model_input(), choose(source, MODELS))
    assert made.column("galaxy_id").tolist() == survey.column("galaxy_id").tolist()
    assert made.column("note").tolist() == [i**2 for i in range(N)]
    assert list(made.models) == list(read.codes)
    assert list(made.clusterings) == list(read.placements)
    for name in made.models:
        np.testing.assert_array_equal(made.encoded(name), read.codes[name])
        np.testing.assert_allclose(made.column(f"{name}/error"), read.errors[name], rtol=1e-3)
        files = (b.path / b.models[name].weights for b in (made, source))
        assert len({file.read_bytes() for file in files}) == 1
    for key, clustering in made.clusterings.items():
        placed = read.placements[key]
        np.testing.assert_array_equal(clustering.labels, placed.shares.argmax(1))
        np.testing.assert_allclose(clustering.coordinates, placed.places, atol=1e-3)
        np.testing.assert_allclose(clustering.feature_values, placed.features, atol=2e-2)
        counts = np.bincount(clustering.labels, minlength=len(clustering.clusters))
        assert [one.count for one in clustering.clusters] == counts.tolist()
        assert (clustering.mixture.means == source.clusterings[key].mixture.means).all()
    assert list(made.priors) == list(source.priors)


def test_how_unusual_each_galaxy_is_comes_along(source, survey, made):
    read = read_stamps(source, survey.model_input(), choose(source, MODELS))
    for name in made.models:
        worse = [max(one.percentiles[name], one.distance) for one in read.verdicts]
        np.testing.assert_allclose(known_percentiles(made, name), worse, atol=0.02)
    own, given = novelty_of(made), novelty_of(source)
    assert (own.limit, own.sky) == (given.limit, given.sky)


def test_it_says_where_its_networks_are_from_and_whose_its_galaxies_are(source, survey, made):
    about = made.manifest.excerpt
    assert (about.of, about.n_galaxies, about.sha256) == ("known", 60, source.hash)
    assert about.survey == survey.meta["name"] == "placed"
    words = " ".join(made.card.split())
    assert "40 of the survey `placed`, encoded by the networks of `known`" in words
    assert "an excerpt" not in words
    check_survey(made, survey)  # whose pictures may stand beside what is drawn


def test_many_galaxies_are_written_in_parts(source, encoded, made, tmp_path, monkeypatch):
    monkeypatch.setattr(writer, "MANY", N)
    many = verify_bundle(write_encoded_bundle(source, encoded, tmp_path / "mine"))
    assert (made.manifest.format, many.manifest.format) == (2, 3)
    for name in made.models:
        np.testing.assert_array_equal(many.encoded(name), made.encoded(name))
    assert f"{PRIOR}/codes/sparsity" in many.column_names


def test_what_was_not_encoded_is_not_there(source, survey, tmp_path):
    found = encode_survey(source, survey, tmp_path / "out", models=[f"{MODEL}/codes"], rows=N)
    made = load_bundle(write_encoded_bundle(source, found, tmp_path / "one", "other"))
    assert (made.name, list(made.models)) == ("other", [MODEL])
    assert made.manifest.display_model == MODEL
    assert made.manifest.default_clustering == f"{MODEL}/codes"
    known_percentiles(made, MODEL)


def test_what_cannot_be_is_refused(bundle, source, encoded, tmp_path):
    with pytest.raises(SettingError, match="another bundle"):
        write_encoded_bundle(bundle, encoded, tmp_path / "mine")
    with pytest.raises(SettingError, match="small letters"):
        write_encoded_bundle(source, encoded, tmp_path / "My Bundle")
    shutil.copytree(encoded.path, tmp_path / "cut")
    cut = ge.Encoding.open(tmp_path / "cut")
    with pytest.raises(BundleError, match="no bundle"):
        write_encoded_bundle(source, encoded, tmp_path / "cut")
    cut.files[1].unlink()
    with pytest.raises(SurveyError, match=f"{N - ROWS} of {N} galaxies"):
        write_encoded_bundle(source, cut, tmp_path / "mine")
    assert not (tmp_path / "mine").exists()


def test_the_command_makes_it(source, encoded, made, tmp_path):
    words = ["bundle", str(source.path), str(encoded.path), "--out", str(tmp_path / "mine")]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    assert f"{N} galaxies" in done.output
    assert load_bundle(tmp_path / "mine").hash == made.hash
