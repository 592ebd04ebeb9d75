"""Excerpts of bundles, and the one that comes with the package."""

from __future__ import annotations

import fnmatch
import hashlib
import json
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import numpy as np
import pytest
from msgspec import structs
from typer.testing import CliRunner

from galaxy_explorer import cli, load_bundle, load_demo
from galaxy_explorer.bundle.card import card_text, model_card
from galaxy_explorer.bundle.evaluation import EVALUATION
from galaxy_explorer.bundle.novelty import NOVELTY, judge_novelty, known_percentiles
from galaxy_explorer.bundle.remaking import PARTS, excerpt_rows, renew_card, write_excerpt
from galaxy_explorer.bundle.survey_check import check_survey
from galaxy_explorer.bundle.writer import add_files
from galaxy_explorer.errors import BundleError, SettingError, SurveyError
from galaxy_explorer.survey.preprocessing import split_of
from galaxy_explorer.survey.store import Survey
from tests.small_bundle import write_small_bundle
from tests.small_evaluation import small_evaluation

ROOT = Path(__file__).resolve().parent.parent
MOST_BYTES = 8_000_000
CURE = "trained/sdss has changed: make demo-bundle"


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return load_bundle(write_small_bundle(tmp_path_factory.mktemp("whole") / "toy", n=300))


@pytest.fixture(scope="module")
def part(whole):
    return load_bundle(write_excerpt(whole.path, whole.path.parent / "small", n=120))


def test_rows_are_those_of_the_smallest_hashes_in_order():
    names = np.array([f"NGC {i}" for i in range(500)])
    digests = [hashlib.sha256(f"excerpt {name}".encode()).hexdigest() for name in names]
    ranked = sorted(range(500), key=digests.__getitem__)
    assert excerpt_rows(names, 80).tolist() == sorted(ranked[:80])
    assert set(excerpt_rows(names, 40)) < set(excerpt_rows(names, 80))


def test_every_split_has_its_share():
    names = np.array([f"NGC {i}" for i in range(5000)])
    chosen = names[excerpt_rows(names, 1000)]
    shares = {s: np.mean([split_of(n) == s for n in chosen]) for s in ("train", "test")}
    assert 0.75 < shares["train"] < 0.85
    assert 0.07 < shares["test"] < 0.13


def test_an_excerpt_has_of_each_galaxy_what_the_whole_has(whole, part):
    rows = excerpt_rows(whole.column("galaxy_id"), 120)
    assert len(part) == 120
    assert part.column_names == whole.column_names
    for name in whole.column_names:
        np.testing.assert_array_equal(part.column(name), whole.column(name)[rows])
    for model in whole.models:
        np.testing.assert_array_equal(part.encoded(model), whole.encoded(model)[rows])
    for key, one in whole.clusterings.items():
        found = part.clusterings[key]
        np.testing.assert_array_equal(found.labels, one.labels[rows])
        np.testing.assert_allclose(found.feature_values, one.feature_values[rows])
        assert [c.count for c in found.clusters] == np.bincount(
            one.labels[rows], minlength=len(one.clusters)
        ).tolist()
        for cluster in found.clusters:
            assert (found.labels[list(cluster.typical)] == cluster.id).all()
    model = next(iter(whole.models))
    np.testing.assert_array_equal(part.decode(model, np.arange(3)), whole.decode(model, rows[:3]))


def test_an_excerpt_says_what_it_is_part_of(whole, part):
    about = part.manifest.excerpt
    assert (about.of, about.n_galaxies, about.sha256) == ("toy", 300, whole.hash)
    assert "an excerpt of 120 of the 300 galaxies of `toy`" in " ".join(part.card.split())
    assert whole.manifest.excerpt is None
    assert "excerpt" not in whole.card


def test_an_excerpt_has_what_was_measured_but_no_merger_tree_of_other_galaxies(whole, tmp_path):
    measured = small_evaluation(len(whole))
    shutil.copytree(whole.path, tmp_path / "measured")
    add_files(tmp_path / "measured", {EVALUATION: measured.to_bytes()}, lambda _: "# toy\n")
    made = load_bundle(write_excerpt(tmp_path / "measured", tmp_path / "small", n=100))
    assert made.evaluation == structs.replace(measured, trees=())


def test_it_is_the_same_every_time_and_takes_the_place_of_itself_alone(whole, part, tmp_path):
    again = load_bundle(write_excerpt(whole.path, tmp_path / "small", n=120))
    assert again.hash == part.hash
    smaller = load_bundle(write_excerpt(whole.path, tmp_path / "small", n=100))
    assert set(smaller.column("galaxy_id")) < set(part.column("galaxy_id"))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").touch()
    with pytest.raises(BundleError, match="no bundle"):
        write_excerpt(whole.path, tmp_path / "mine", n=120, name="small")
    assert (tmp_path / "mine" / "thesis.tex").exists()


def test_the_survey_of_the_whole_is_refused(part, tmp_path):
    """Its rows are others: it would show each galaxy the picture of another one."""

    class Whole:
        path, meta = tmp_path, {"fingerprint": part.manifest.excerpt.fingerprint}

        def column(self, name):
            return np.append(part.column(name), "another")

    with pytest.raises(SurveyError, match="not all of them in its order"):
        check_survey(part, Whole())
    assert Survey.column  # what stands in for it has its name


def test_one_kind_of_priors_can_be_left_out(tmp_path):
    source = load_bundle(ROOT / "trained" / "sdss")
    assert {prior.kind for prior in source.priors.values()} == {"rectified", "pixelcnn"}
    made = load_bundle(write_excerpt(source.path, tmp_path / "x", n=150, leave_out=["pixelcnn"]))
    assert {prior.kind for prior in made.priors.values()} == {"rectified"}


@pytest.mark.parametrize("name", ["sdss", "report", "candels"])
def test_what_ships_can_be_cut(name, tmp_path):
    left = [part for part in PARTS if part not in {"judge", "novelty"}]
    cut = write_excerpt(ROOT / "trained" / name, tmp_path / "x", n=150, leave_out=left)
    made = load_bundle(cut)
    source = load_bundle(ROOT / "trained" / name)
    assert not made.priors
    assert made.evaluation is None
    assert made.emulation is None
    assert made.ttype_regressor == source.ttype_regressor
    rows = excerpt_rows(source.column("galaxy_id"), 150)
    measured = NOVELTY in source.manifest.files  # else they are ranks among the galaxies there are
    assert measured == (NOVELTY in made.manifest.files)
    for model in source.models if measured else ():
        np.testing.assert_array_equal(
            known_percentiles(made, model), known_percentiles(source, model)[rows]
        )
    assert set(made.models) == set(source.models)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"n": 99}, "--n 99"),
        ({"n": 301}, "gives 100 to 300"),
        ({"n": 120, "leave_out": ["card"]}, "--leave-out card"),
        ({"n": 120, "name": "../x"}, "--name"),
    ],
)
def test_what_cannot_be_is_refused(whole, tmp_path, options, words):
    with pytest.raises(SettingError, match=words):
        write_excerpt(whole.path, tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_the_command_says_what_it_made(whole, tmp_path):
    done = CliRunner().invoke(
        cli.app, ["excerpt", str(whole.path), "--out", str(tmp_path / "tiny"), "--n", "100"]
    )
    assert "100 of 300 galaxies" in done.output


def test_the_demo_is_what_the_code_makes_of_the_bundle_that_ships():
    demo, source = load_demo(), load_bundle(ROOT / "trained" / "sdss")
    about = demo.manifest.excerpt
    assert (about.of, about.sha256) == ("sdss", source.hash), CURE
    rows = excerpt_rows(source.column("galaxy_id"), len(demo))
    for name in ("galaxy_id", "ttype", "ra"):
        np.testing.assert_array_equal(demo.column(name), source.column(name)[rows])
    name = demo.manifest.display_model
    np.testing.assert_array_equal(demo.codes(name), source.codes(name)[rows])
    assert demo.models == source.models
    drawing = {key: one for key, one in source.priors.items() if one.kind == "rectified"}
    assert demo.priors == drawing
    assert list(demo.clusterings) == list(source.clusterings)
    for key in demo.clusterings:
        assert demo.clusterings[key].agreement == source.clusterings[key].agreement
    told = rows_of_tables(demo.card)
    assert set(told) < set(rows_of_tables(source.card))
    assert len(told) > 40


def rows_of_tables(card):
    """Rows of the tables of a card, but for the one that counts the clusters' members."""
    before, _, after = card.partition("## Clusters")
    text = before + after.partition("## ")[2]
    return [line for line in text.splitlines() if line.startswith("|")]


def test_the_demo_is_small_and_draws():
    demo = load_demo()
    assert sum(path.stat().st_size for path in demo.path.iterdir()) <= MOST_BYTES
    assert len(demo) >= 2000
    assert demo.manifest.survey.channels == 3
    assert demo.prior(demo.manifest.display_model)
    known = np.isfinite(demo.column("ttype"))
    assert known.sum() > 300


def test_the_demo_tells_a_galaxy_from_noise():
    demo = load_demo()
    model = demo.manifest.display_model
    galaxies = demo.decode(model, np.arange(8))
    noise = np.random.default_rng(0).random((2, 3, 64, 64)).astype(np.float32)
    usual = [one.unusual for one in judge_novelty(demo, galaxies, {model: np.full(8, 1e-4)})]
    assert sum(usual) <= 2
    assert all(one.unusual for one in judge_novelty(demo, noise, {model: np.full(2, 0.05)}))


def test_all_that_is_no_module_goes_into_the_wheel():
    patterns = tomllib.loads((ROOT / "pyproject.toml").read_text())
    patterns = patterns["tool"]["setuptools"]["package-data"]["galaxy_explorer"]
    package = ROOT / "galaxy_explorer"
    files = [str(path.relative_to(package)) for path in package.rglob("*") if path.is_file()]
    files = [name for name in files if not name.endswith((".py", ".pyc"))]
    assert len(files) > 20
    missed = [n for n in files if not any(fnmatch.fnmatch(n, pattern) for pattern in patterns)]
    assert missed == []


@pytest.mark.slow
def test_the_demo_is_in_the_wheel_and_opens_there(tmp_path):
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(
        ROOT / "galaxy_explorer",
        tmp_path / "galaxy_explorer",
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    build = "import setuptools.build_meta as b; print(b.build_wheel('dist'))"
    done = subprocess.run(
        [sys.executable, "-c", build], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    wheel = tmp_path / "dist" / done.stdout.splitlines()[-1]
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    opened = load_bundle(tmp_path / "site" / "galaxy_explorer" / "demo")
    assert opened.hash == load_demo().hash


def header_of(card: str) -> dict[str, object]:
    """The plain lines of the header: YAML whose values are JSON or one word."""
    lines = card.partition("\n---\n")[0].splitlines()
    assert lines[0] == "---"
    pairs = [line.split(": ", 1) for line in lines[1:] if line[0] not in " -" and ": " in line]
    return {name: json.loads(value) if value[0] in '["' else value for name, value in pairs}


def test_cards_begin_with_the_metadata_that_hubs_read():
    bundle = load_bundle(ROOT / "trained" / "sdss")
    header = header_of(bundle.card)
    assert header["license"] == ["bsd-3-clause", "cc-by-sa-4.0", "cc-by-4.0"]
    assert header["library_name"] == "galaxy_explorer"
    assert header["datasets"] == ["sdss_ngc", "efigi", "gz2_5class"]
    assert {"astronomy", "image-generation"} <= set(header["tags"])
    assert "nmse" in header["metrics"]
    nmse = bundle.models[bundle.manifest.display_model].metrics["nmse"]
    assert f'- {{"type": "nmse", "value": {nmse:.4g}}}' in bundle.card
    assert card_text(bundle.card).startswith("# sdss: a galaxy_explorer bundle")
    assert card_text("# no header\n\n---\n\nx") == "# no header\n\n---\n\nx"


def test_names_of_a_hostile_bundle_stay_in_their_line_of_the_header(whole):
    hostile = 'a": [b]\n---\n# x\nlicense: "mine'
    survey = structs.replace(whole.manifest.survey, name=hostile, sources=({"source": hostile},))
    text = model_card(structs.replace(whole.manifest, survey=survey, name=hostile))
    assert header_of(text)["license"] == ["bsd-3-clause"]
    assert header_of(text)["datasets"] == [hostile]
    assert text.split("\n---\n")[0].count("\nlicense: ") == 1


def test_a_card_is_written_anew_once_and_nothing_else_changes(tmp_path):
    path = tmp_path / "old"
    shutil.copytree(ROOT / "trained" / "candels", path)
    assert not renew_card(path)
    before = {file.name: file.read_bytes() for file in path.iterdir()}
    add_files(path, {}, lambda _: card_text(before["README.md"].decode()))
    assert renew_card(path)
    assert {file.name: file.read_bytes() for file in path.iterdir()} == before


@pytest.mark.parametrize("options", [[], ["--no-browser", "--port", "5099"]])
def test_the_demo_is_served_and_the_browser_opened_unless_told(options, tmp_path, monkeypatch):
    import panel as pn

    from galaxy_explorer.explorer.context import app_context

    opened, served = [], {}

    class Server:
        port = 5099 if options else 5006

        def run_until_shutdown(self):
            opened.append("served")

    def serve(page, **given):
        served.update(given, bundle=app_context().bundle.name)
        return Server()

    monkeypatch.setattr(pn, "serve", serve)
    monkeypatch.setattr("webbrowser.open", opened.append)
    monkeypatch.setattr("galaxy_explorer.explorer.pages.registry.warm_pages", lambda _: None)
    monkeypatch.setenv("GALAXY_EXPLORER_BUNDLE", "elsewhere")  # put back afterwards
    monkeypatch.setenv("GALAXY_EXPLORER_CACHE", str(tmp_path))
    app_context.cache_clear()
    done = CliRunner().invoke(cli.app, ["demo", *options])
    app_context.cache_clear()
    assert done.exit_code == 0, done.output
    assert served["bundle"] == "sdss-demo"
    assert served["address"] == "localhost"
    assert f"http://localhost:{Server.port}" in done.output
    assert opened == (["served"] if options else ["http://localhost:5006", "served"])
