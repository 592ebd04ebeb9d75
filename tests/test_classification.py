from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from msgspec import structs
from PIL import Image

from galaxy_explorer import load_bundle
from galaxy_explorer.classification import (
    classify_images,
    classify_stamps,
    codes_text,
    expand,
    make_table,
    prepare_image,
    table_format,
    write_table,
)
from galaxy_explorer.errors import SettingError
from tests.small_bundle import write_small_bundle
from tests.small_survey import blobs

TRAINED = Path(__file__).parents[1] / "trained"
KEY = "k512-modern-8x8/codes"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return load_bundle(write_small_bundle(tmp_path_factory.mktemp("bundles") / "small", n=60))


@pytest.fixture(scope="module")
def stamps() -> np.ndarray:
    return blobs(np.array([-4.0, 0, 6]), np.random.default_rng(0))


@pytest.fixture
def folder(tmp_path, stamps):
    """Three pictures, a linear FITS and three files that are no use."""
    for i, stamp in enumerate(stamps):
        pixels = (255 * stamp[0].clip(0, 1)).round().astype(np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"a{i}.png")
    flux = 1000 * np.sinh((stamps[0, 0] - 0.04) / 0.12) + 100
    fits.writeto(tmp_path / "b.fits", np.pad(flux, 20, mode="edge").astype(np.float32))
    (tmp_path / "c.fits").write_bytes(b"SIMPLE  = nonsense")
    (tmp_path / "d.jpg").write_bytes(b"")
    (tmp_path / "notes.txt").write_text("not a picture")
    return tmp_path


def test_a_picture_gives_the_codes_of_its_stamp(bundle, folder, stamps):
    from galaxy_explorer.models.inference import encode_stamps

    found = list(classify_images(bundle, [folder / f"a{i}.png" for i in range(3)]))
    rounded = ((255 * stamps.clip(0, 1)).round() / 255).astype(np.float32)
    for name in bundle.models:
        codes = encode_stamps(bundle.load_model(name), rounded)
        for record, expected in zip(found, codes, strict=True):
            np.testing.assert_array_equal(record.models[name].codes, expected)


def test_bad_images_get_a_reason_and_the_others_go_on(bundle, folder):
    found = list(classify_images(bundle, expand([str(folder)])))
    assert [record.file.rsplit("/", 1)[1] for record in found] == [
        *("a0.png", "a1.png", "a2.png", "b.fits", "c.fits", "d.jpg")
    ]
    assert [bool(record.reason) for record in found] == [False] * 4 + [True] * 2
    assert all(record.models and record.clusterings for record in found[:4])
    assert not any(record.models or record.clusterings for record in found[4:])


def test_only_bad_images(bundle, folder):
    found = list(classify_images(bundle, [folder / "d.jpg", folder / "none.fits"]))
    assert all(record.reason for record in found)


def test_order_and_batches_do_not_matter(bundle, folder, monkeypatch):
    files = expand([str(folder)])
    together = list(classify_images(bundle, files))
    monkeypatch.setattr("galaxy_explorer.classification.blocks.BATCH", 2)
    apart = list(classify_images(bundle, files[::-1]))[::-1]
    for one, other in zip(together, apart, strict=True):
        assert (one.file, one.reason) == (other.file, other.reason)
        for key, member in one.clusterings.items():
            assert member.cluster == other.clusterings[key].cluster
            np.testing.assert_allclose(
                member.responsibilities, other.clusterings[key].responsibilities, atol=1e-4
            )


def test_probabilities_sum_to_one_and_the_cluster_is_the_best(bundle, stamps):
    for record in classify_stamps(bundle, stamps):
        for member in record.clusterings.values():
            assert member.responsibilities.sum() == pytest.approx(1)
            assert member.cluster == member.responsibilities.argmax()
            assert member.probability == member.responsibilities.max()


def test_error_percentile_counts_the_training_galaxies_below(bundle, stamps):
    train = bundle.column("split") == "train"
    for record in classify_stamps(bundle, stamps):
        for name, reading in record.models.items():
            below = (bundle.column(f"{name}/error")[train] < reading.error).mean()
            assert reading.percentile == pytest.approx(100 * below)


def test_what_no_training_galaxy_looks_like_is_flagged(bundle, stamps):
    noise = np.random.default_rng(0).uniform(0, 1, stamps.shape).astype(np.float32)
    for record in classify_stamps(bundle, noise):
        assert record.out_of_distribution.startswith("yes: 5 of 5 models")


def test_what_is_reconstructed_well_is_not_flagged(bundle, stamps, monkeypatch):
    for name in bundle.models:
        worse = np.full(len(bundle), 1e9, np.float32)
        monkeypatch.setitem(bundle.catalogue._columns, f"{name}/error", worse)
    assert [r.out_of_distribution for r in classify_stamps(bundle, stamps)] == ["no"] * 3


def test_a_decoded_galaxy_lies_inside_the_map(bundle, stamps):
    for record in classify_stamps(bundle, stamps):
        for key, member in record.clusterings.items():
            coordinates = bundle.clusterings[key].coordinates
            assert (coordinates.min(0) <= (member.x, member.y)).all()
            assert (coordinates.max(0) >= (member.x, member.y)).all()


def test_frames(bundle, folder):
    readings = {
        frame: next(classify_images(bundle, [folder / "b.fits"], frame=frame))
        for frame in ("auto", "whole", "64")
    }
    assert not any(record.reason for record in readings.values())
    assert len({record.models["k512-modern-16x16"].error for record in readings.values()}) == 3
    small = next(classify_images(bundle, [folder / "b.fits"], frame="500"))
    assert "less than --frame 500" in small.reason


@pytest.mark.parametrize("frame", ["centre", "7", "-3", "1.5", ""])
def test_unknown_frames_are_refused(bundle, folder, frame):
    with pytest.raises(SettingError, match="--frame"):
        list(classify_images(bundle, [folder / "b.fits"], frame=frame))


def test_folders_patterns_and_files(folder, monkeypatch):
    monkeypatch.chdir(folder)
    assert [p.name for p in expand(["a*.png", "b.fits", "a0.png"])] == [
        *("a0.png", "a1.png", "a2.png", "b.fits")
    ]
    assert [p.name for p in expand([str(folder / "a?.png")])] == ["a0.png", "a1.png", "a2.png"]
    assert len(expand(["."])) == 6
    assert [str(p) for p in expand(["missing.png"])] == ["missing.png"]


def test_code_text_is_as_long_as_the_map():
    codes = np.array([[0, 511], [16, 255]])
    assert codes_text(codes, 512) == "x0001ff0100ff"
    assert codes_text(codes % 16, 16) == "x0f0f"


@pytest.fixture(scope="module")
def records(bundle, stamps, tmp_path_factory):
    bad = tmp_path_factory.mktemp("bad") / "empty.fits"
    bad.write_bytes(b"")
    return [*classify_stamps(bundle, stamps), *classify_images(bundle, [bad])]


@pytest.mark.parametrize("suffix", [".ecsv", ".fits", ".parquet"])
def test_tables_with_vectors_round_trip(bundle, records, tmp_path, suffix):
    table = make_table(bundle, records)
    path = tmp_path / f"table{suffix}"
    assert write_table(table, path) == [path]
    again = Table.read(path)
    assert again.colnames == table.colnames
    np.testing.assert_allclose(again[f"{KEY}/probabilities"], table[f"{KEY}/probabilities"])
    maps = list(table["k16-modern-8x8/codes"])[:3]
    assert list(again["k16-modern-8x8/codes"])[:3] == maps
    assert again["reason"][3] == "empty file"


def test_csv_has_its_vectors_in_a_second_file(bundle, records, tmp_path):
    table = make_table(bundle, records)
    path, beside = write_table(table, tmp_path / "table.csv")
    again, long = Table.read(path), Table.read(beside)
    assert again["k16-modern-8x8/codes"][0].startswith("x")
    assert len(again) == 4
    assert len(long) == 4 * len(bundle.clusterings)
    one = long[(long["clustering"] == KEY)][:3]
    values = np.stack([np.asarray(one[f"p{k}"]) for k in range(64)], axis=1)
    np.testing.assert_allclose(values, table[f"{KEY}/probabilities"][:3])


def test_a_bad_image_has_no_numbers(bundle, records):
    row = make_table(bundle, records)[3]
    assert row[f"{KEY}/cluster"] == -1
    assert np.isnan(row[f"{KEY}/x"])
    assert np.isnan(row["k16-modern-8x8/error"])
    assert row["k16-modern-8x8/codes"] == ""


def test_other_extensions_are_refused(tmp_path):
    with pytest.raises(SettingError, match=r"\.csv, \.ecsv, \.fits, \.parquet"):
        table_format(tmp_path / "table.xlsx")


def test_an_image_of_another_scale_than_the_stamps_is_said(bundle, folder):
    header = fits.Header({"PIXSCALE": 0.4})
    with fits.open(folder / "b.fits") as opened:
        fits.writeto(folder / "scaled.fits", opened[0].data, header)
    for known, said in ((0.06, True), (0.403, False), (None, False)):
        survey = structs.replace(bundle.manifest.survey, pixel_scale_arcsec=known)
        manifest = structs.replace(bundle.manifest, survey=survey)
        taken = prepare_image(SimpleNamespace(manifest=manifest), folder / "scaled.fits").taken
        assert ("0.4 arcsec/px, the stamps of the bundle 0.06" in taken) is said


def linear_galaxy(stamp: np.ndarray, seed: int) -> np.ndarray:
    """A stamp as linear flux amid twice as much sky: 128 x 128, sky 100, sigma 1."""
    flux = 4.5 * np.sinh((stamp.astype(float) - 0.02) / 0.17)
    edge = np.concatenate([flux[:3].ravel(), flux[-3:].ravel()])
    wide = np.pad(flux - np.median(edge), 32)
    return wide + np.random.default_rng(seed).normal(100.0, 1.0, wide.shape)


@pytest.mark.slow
@pytest.mark.parametrize("missing", [np.nan, 0.0])
def test_a_strip_without_data_keeps_the_cluster_of_nearly_every_galaxy(missing, tmp_path):
    bundle = load_bundle(TRAINED / "report")
    rows = np.random.default_rng(0).choice(len(bundle), 24, replace=False)
    model = bundle.manifest.display_model
    stamps = bundle.draw(model, bundle.codes(model)[rows])[:, 0]
    paths = []
    for i, stamp in enumerate(stamps):
        whole = linear_galaxy(stamp, i)
        cut, width = whole.copy(), (6, 13, 26)[i % 3]
        part = slice(0, width) if i % 2 else slice(-width, None)
        cut[(part, slice(None)) if i % 4 < 2 else (slice(None), part)] = missing
        for name, data in (("whole", whole), ("cut", cut)):
            paths.append(tmp_path / f"{i}{name}.fits")
            fits.writeto(paths[-1], data.astype(np.float32))
    found = list(classify_images(bundle, paths))
    key = bundle.manifest.default_clustering
    clusters = np.array([one.clusterings[key].cluster for one in found]).reshape(-1, 2)
    assert (clusters[:, 0] != clusters[:, 1]).mean() < 1 / 20


def test_the_band_of_the_bundle_is_taken_by_name(bundle, folder, stamps):
    flux = linear_galaxy(stamps[0, 0], 0).astype(np.float32)
    for names, words in (("grz", "plane r of g, r, z"), ("zr", "plane r of z, r")):
        path = folder / f"{names}.fits"
        planes = np.stack([flux if name == "r" else flux * 0 + 1 for name in names])
        fits.writeto(path, planes, fits.Header({"BANDS": names, "BUNIT": "nanomaggy"}))
        found = next(classify_images(bundle, [path]))
        assert found.taken.startswith(f"HDU 0, {words} (nanomaggy)")
        other = next(classify_images(bundle, [path], band="z"))
        assert "plane z: every pixel has the same value" in other.reason
    fits.writeto(folder / "jhk.fits", np.stack([flux] * 3), fits.Header({"BANDS": "JHK"}))
    refused = next(classify_images(bundle, [folder / "jhk.fits"]))
    assert "planes J, H, K" in refused.reason
    assert "--band" in refused.reason


def test_rows_lie_as_those_of_the_bundle(bundle, folder, stamps):
    flux = linear_galaxy(stamps[0, 0], 0).astype(np.float32)
    flux[20:30, 20:30] += 300
    raw = folder / "up.fits"
    fits.writeto(raw, flux)
    survey = bundle.manifest.survey
    seen = {}
    for state, orientation in (("linear", ""), ("arcsinh", ""), ("linear", "row 0 on top")):
        about = structs.replace(
            survey, stretch={**survey.stretch, "state": state}, orientation=orientation
        )
        stand_in = SimpleNamespace(manifest=SimpleNamespace(survey=about))
        seen[state, orientation] = prepare_image(stand_in, raw, frame="whole").stamp[0]
    np.testing.assert_array_equal(seen["linear", ""][::-1], seen["arcsinh", ""])
    np.testing.assert_array_equal(seen["linear", "row 0 on top"], seen["arcsinh", ""])


def test_a_picture_of_one_band_is_refused_by_a_bundle_of_three_with_the_cure(tmp_path, stamps):
    colours = load_bundle(write_small_bundle(tmp_path / "colours", n=60, channels=3))
    fits.writeto(tmp_path / "r.fits", linear_galaxy(stamps[0, 0], 0).astype(np.float32))
    (found,) = classify_images(colours, [tmp_path / "r.fits"])
    assert "has 1 band, the galaxies of this bundle have 3 bands" in found.reason
    assert "take a bundle of 1 band" in found.reason
