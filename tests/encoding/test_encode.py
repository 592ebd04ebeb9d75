"""A survey encoded: the numbers are those of the models, whatever interrupts the run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import psutil
import pytest
from msgspec import structs
from typer.testing import CliRunner

import galaxy_explorer as ge
from galaxy_explorer.bundle.placing import Choice, choose, read_stamps
from galaxy_explorer.classification import classify_stamps
from galaxy_explorer.cli import app
from galaxy_explorer.clustering.embedding import PLACED_BY
from galaxy_explorer.encoding import encode_survey
from galaxy_explorer.errors import SettingError, SurveyError
from tests.encoding.conftest import MODEL, ROWS, N, write_placed_survey
from tests.test_scheduler import wait_until

ROOT = Path(__file__).resolve().parents[2]
KEY = f"{MODEL}/codes"


@pytest.fixture(scope="module")
def made(bundle, survey, tmp_path_factory):
    out = tmp_path_factory.mktemp("made") / "out"
    return encode_survey(bundle, survey, out, models=[MODEL], rows=ROWS)


def contents(out: Path) -> dict[str, bytes]:
    """Every file of an encoding, hidden ones as well."""
    return {str(p.relative_to(out)): p.read_bytes() for p in sorted(out.rglob("*")) if p.is_file()}


def test_a_row_has_what_the_bundle_says_of_its_stamp(bundle, survey, made):
    table = made.table()
    assert table["galaxy_id"].to_pylist() == survey.column("galaxy_id").tolist()
    assert table["note"].to_pylist() == [i**2 for i in range(N)]
    records = classify_stamps(bundle, survey.model_input(), Choice((MODEL,), (KEY,)))
    codes = np.stack([record.models[MODEL].codes.ravel() for record in records])
    assert table[f"{MODEL}/codes"].to_pylist() == codes.tolist()
    clusters = [record.clusterings[KEY].cluster for record in records]
    assert table[f"{KEY}/cluster"].to_pylist() == clusters
    for column, values in (
        (f"{MODEL}/error", [record.models[MODEL].error for record in records]),
        (f"{MODEL}/percentile", [record.models[MODEL].percentile for record in records]),
        (f"{KEY}/x", [record.clusterings[KEY].x for record in records]),
        (f"{KEY}/responsibility", [record.clusterings[KEY].probability for record in records]),
    ):
        np.testing.assert_allclose(table[column].to_numpy(), values, rtol=2e-4, atol=2e-4)
    words = [record.out_of_distribution for record in records]
    assert table["out_of_distribution"].to_pylist() == words
    features = np.array(table[f"{KEY}/features"].to_pylist(), np.float32)
    expected = np.stack([record.clusterings[KEY].features for record in records])
    np.testing.assert_allclose(features, expected, rtol=2e-3, atol=2e-3)


def test_the_distance_is_the_mean_to_the_nearest_five(bundle, survey, made):
    clustering = bundle.clusterings[KEY]
    found = read_stamps(bundle, survey.model_input(), Choice((MODEL,), (KEY,))).placements[KEY]
    apart = np.linalg.norm(found.features[:, None] - clustering.feature_values[None], axis=2)
    nearest = np.sort(apart, axis=1)[:, :PLACED_BY].mean(1)
    told = made.table([f"{KEY}/neighbour_distance"]).column(0).to_numpy()
    np.testing.assert_allclose(told, nearest, rtol=1e-3)


def test_the_account_adds_up(made):
    about = json.loads((made.path / "encoding.json").read_text())
    assert about == made.meta == ge.Encoding.open(made.path).meta
    clusters = made.table([f"{KEY}/cluster"]).column(0).to_numpy()
    told = [one["galaxies"] for one in about["clusterings"][f"{MODEL}/codes"]]
    assert told == np.bincount(clusters, minlength=64).tolist()
    assert set(about["columns"]) == set(made.table().column_names)
    assert about["columns"]["ra"]["unit"] == "deg"
    assert about["unusual"] == sum(made.table(["unusual"]).column(0).to_pylist())
    assert len(made) == N
    assert len(made.files) == N // ROWS


def test_only_what_is_named_is_computed_and_the_orbit_once_a_model(bundle, survey, monkeypatch):
    from galaxy_explorer.models import inference

    calls = []
    orbit = inference.encode_orbit

    def counted(model, stamps):
        calls.append(model.config.name)
        return orbit(model, stamps)

    monkeypatch.setattr(inference, "encode_orbit", counted)
    two = {KEY: bundle.clusterings[KEY], f"{MODEL}/again": bundle.clusterings[KEY]}
    twice = type(bundle)(**{**vars(bundle), "clusterings": two, "_loaded": {}})
    read = read_stamps(twice, survey.model_input()[:4], choose(twice, [MODEL]))
    assert list(read.placements) == [*two]
    assert calls == [MODEL]
    assert list(twice._loaded) == [MODEL]
    one, other = (read.placements[key].features for key in two)
    np.testing.assert_array_equal(one, other)
    read_stamps(twice, survey.model_input()[:4], Choice(("k512-paper-8x8",), ()))
    assert calls == [MODEL]  # no clustering, no orbit


def test_what_a_model_may_be(bundle):
    manifest = bundle.manifest
    assert choose(bundle).clusterings == (manifest.default_clustering,)
    assert manifest.display_model in choose(bundle).models
    assert choose(bundle, [KEY]) == Choice((MODEL,), (KEY,))
    assert choose(bundle, [MODEL]).clusterings == (f"{MODEL}/index", KEY)
    assert choose(bundle, ["all"]).models == tuple(bundle.models)
    with pytest.raises(SettingError, match=r"--model k99: .* has the models k16-modern-8x8"):
        choose(bundle, ["k99"])


def test_what_is_there_is_not_made_again(bundle, survey, made, tmp_path, monkeypatch):
    before = {path: path.stat().st_mtime_ns for path in made.files}
    monkeypatch.setattr("galaxy_explorer.encoding.parts.read_stamps", None)
    said = []
    again = encode_survey(bundle, survey, made.path, models=[MODEL], rows=ROWS, said=said.append)
    assert again.meta == made.meta
    assert {path: path.stat().st_mtime_ns for path in again.files} == before
    assert "40 were encoded before" in said


def test_results_of_another_model_are_not_mixed(bundle, survey, made):
    before = contents(made.path)
    with pytest.raises(
        SettingError, match=r"is of another bundle, model or survey, as are 4 other"
    ):
        encode_survey(bundle, survey, made.path, models=["k512-modern-8x8"], rows=ROWS)
    assert contents(made.path) == before


def test_a_damaged_part_is_named(bundle, survey, tmp_path):
    out = tmp_path / "out"
    made = encode_survey(bundle, survey, out, models=[KEY], rows=ROWS)
    made.files[1].write_bytes(made.files[1].read_bytes()[:100])
    with pytest.raises(SurveyError, match=rf"{made.files[1].name}: damaged .* remove it"):
        encode_survey(bundle, survey, out, models=[KEY], rows=ROWS)
    made.files[1].unlink()
    assert encode_survey(bundle, survey, out, models=[KEY], rows=ROWS).meta == made.meta


def test_stamps_of_another_size_are_refused_with_the_cure(bundle, tmp_path):
    large = write_placed_survey(tmp_path / "large", size=72)
    with pytest.raises(
        SurveyError, match=r"1 band of 72 px, .* takes 1 band of 64 px; .*--size 64"
    ):
        encode_survey(bundle, large, tmp_path / "out")


def test_what_may_make_galaxies_look_other_is_said(bundle, survey, tmp_path):
    from galaxy_explorer.encoding.plan import misgivings
    from galaxy_explorer.survey.store import Survey

    assert misgivings(bundle, survey) == []
    other = {"band": "r,g", "pixel_scale_arcsec": 0.2, "frame": "measured"}
    trained = structs.replace(bundle.manifest.survey, pixel_scale_arcsec=0.4)
    manifest = structs.replace(bundle.manifest, survey=trained)
    changed = type(bundle)(**{**vars(bundle), "manifest": manifest})
    said = misgivings(changed, Survey(survey.path, {**survey.meta, **other}))
    assert [words.partition(",")[0] for words in said] == [
        "the bundle was trained in the band r",
        "a pixel of the survey has 0.2 arcsec",
        "the survey's galaxies alone are framed by their measured size: the sizes in the frame"
        " differ",
    ]
    same = {**other, "fingerprint": trained.fingerprint}
    assert misgivings(changed, Survey(survey.path, {**survey.meta, **same})) == []


def test_linear_stamps_get_the_stretch_of_the_bundle(survey, tmp_path):
    from galaxy_explorer.survey.preprocessing import ArcsinhStretch
    from galaxy_explorer.survey.store import Survey

    meta = {**survey.meta, "stretch": {**survey.meta["stretch"], "state": "linear"}}
    linear = Survey(survey.path, meta)
    linear._columns |= {"sky": np.full(N, 0.1), "sky_sigma": np.full(N, 0.02)}
    monkey = {"sky": linear._columns["sky"], "sky_sigma": linear._columns["sky_sigma"]}
    import pyarrow as pa

    linear.table = lambda start, stop, names: pa.table(
        {name: monkey[name][start:stop] for name in names}
    )
    stretch = ArcsinhStretch(1.5, 0.3, 0.01)
    expected = stretch.apply(survey.stamps([3, 4]), np.full((2, 1), 0.1), np.full((2, 1), 0.02))
    np.testing.assert_allclose(linear.block(3, 5, stretch), expected.astype(np.float32))


def test_catalogue_rows_by_number(survey):
    for start, stop in ((0, 40), (7, 8), (39, 99), (12, 31)):
        names = survey.table(start, stop, ["galaxy_id"])["galaxy_id"].to_pylist()
        assert names == survey.column("galaxy_id")[start:stop].tolist()


def test_the_command_reports_json(bundle, survey, tmp_path):
    words = ["encode", str(bundle.path), str(survey.path), "--out", str(tmp_path / "out")]
    done = CliRunner().invoke(app, [*words, "--model", KEY, "--json", "--quiet"])
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    assert (report["galaxies"], report["models"]) == (N, [MODEL])
    assert report["written"] == [str(tmp_path / "out" / "encoding.json")]


CLIENT = """
import sys
from pathlib import Path
import galaxy_explorer as ge
from galaxy_explorer.encoding import encode_survey
if __name__ == "__main__":
    bundle, survey, out, model, rows = sys.argv[1:]
    opened = ge.load_bundle(bundle), ge.Survey.open(survey)
    encode_survey(*opened, Path(out), models=[model], rows=int(rows), scheduler="2")
"""


@pytest.mark.slow
def test_kills_of_workers_and_client_change_no_byte(bundle, survey, made, tmp_path):
    script = tmp_path / "client.py"
    script.write_text(CLIENT)

    def start(out: Path) -> subprocess.Popen:
        words = [str(bundle.path), str(survey.path), str(out), MODEL, str(ROWS)]
        return subprocess.Popen(
            [sys.executable, str(script), *words],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stderr=subprocess.PIPE,
        )

    out = tmp_path / "out"
    client = start(out)
    wait_until(lambda: any((out / "parts").glob("part-*")), client)
    workers = [
        child
        for child in psutil.Process(client.pid).children(recursive=True)
        if any("spawn_main" in word for word in child.cmdline())
    ]
    assert len(workers) == 2
    workers[0].kill()
    client.kill()
    client.communicate(timeout=60)
    assert not (out / "encoding.json").exists()
    done = len(list((out / "parts").glob("part-*")))
    second = start(out)  # the rest, with one more death, of a worker that works already
    wait_until(lambda: psutil.Process(second.pid).children(recursive=True), second)
    wait_until(
        lambda: second.poll() is not None or len(list((out / "parts").glob("part-*"))) > done
    )
    for child in psutil.Process(second.pid).children(recursive=True)[-1:]:
        child.kill()
    _, said = second.communicate(timeout=240)
    assert second.returncode == 0, said
    assert contents(out) == contents(made.path)
