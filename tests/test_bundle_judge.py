"""The judge of a bundle: what goes in comes out, what is broken is refused with the cure."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load, save

from galaxy_explorer import load_bundle
from galaxy_explorer.bundle.manifest import JUDGE
from galaxy_explorer.emulation.likeness import read_drawn
from galaxy_explorer.errors import BundleError
from galaxy_explorer.models.ttype_regressor import (
    StoredRegressor,
    TTypeRegressor,
    judge_bytes,
    judge_stamps,
    parse_judge,
)
from tests.attacks.bundle_tools import NO_WEIGHTS, read_manifest, replace_file, reseal, spoil_head
from tests.small_bundle import PRIOR, write_small_bundle
from tests.small_judge import add_small_judge

ROWS = np.arange(3)
CURE = "--judge again"


@pytest.fixture(scope="module")
def intact(tmp_path_factory) -> Path:
    return add_small_judge(write_small_bundle(tmp_path_factory.mktemp("judge") / "sky", n=60))


@pytest.fixture
def bundle(intact, tmp_path) -> Path:
    return shutil.copytree(intact, tmp_path / "sky")


def test_a_judge_comes_back_as_its_rounded_self():
    model = TTypeRegressor(2, ("arms", "bar"), classes=5).eval()
    noise = np.random.default_rng(0).random((16, 9), np.float32)
    data = judge_bytes(StoredRegressor(model, noise))
    found = parse_judge(data, ("arms", "bar"), channels=2, side=16)
    assert found.model.attributes == ("arms", "bar")
    assert not any("class" in name for name in load(data))
    assert {array.dtype for array in load(data).values()} == {np.dtype(np.float16)}
    np.testing.assert_array_equal(found.noise, noise.astype(np.float16))
    stamps = np.random.default_rng(1).random((4, 2, 16, 16), np.float32)
    both = (judge_stamps(one, stamps) for one in (found.model, model))
    for one, other in zip(*both, strict=True):
        np.testing.assert_allclose(one, other, atol=0.02)
    assert judge_bytes(found) == data


def test_a_bundle_says_what_its_judge_is_worth(intact):
    opened = load_bundle(intact)
    assert opened.load_ttype_regressor() is opened.load_ttype_regressor()
    words = opened.ttype_regressor.of(PRIOR)
    assert "20 held-out real galaxies: r 0.86, rms error 2.1, mean error −0.22" in words
    assert "as the model draws them: r 0.77, rms error 2.7, mean error +0.8" in words
    assert "draws" not in opened.ttype_regressor.of("k16-modern-8x8")


def test_what_is_judged_is_a_function_of_each_galaxy_and_its_number(intact):
    opened = load_bundle(intact)
    judge, drawn = opened.load_ttype_regressor(), opened.decode(PRIOR, ROWS)
    together = read_drawn(judge, drawn, ROWS).table
    alone = [read_drawn(judge, drawn[i : i + 1], ROWS[i : i + 1]).table for i in ROWS]
    np.testing.assert_allclose(together, np.concatenate(alone), atol=1e-5)
    assert (read_drawn(judge, drawn, ROWS + 1).table != together).all()


def test_a_judge_of_before_reads_t_alone(tmp_path):
    path = add_small_judge(write_small_bundle(tmp_path / "before", n=60), attributes=())
    manifest = read_manifest(path)
    old = manifest["judge"]
    assert not old.pop("attributes") | old.pop("sources")
    for reading in (old["real"], *old["drawn"].values()):
        assert reading.pop("low") is reading.pop("high") is None
    reseal(path, manifest)
    opened = load_bundle(path)
    assert opened.ttype_regressor.attributes == {}
    drawn = opened.decode(PRIOR, ROWS)
    assert read_drawn(opened.load_ttype_regressor(), drawn, ROWS).table.shape == (3, 1)


@pytest.mark.parametrize("path", sorted(Path("trained").glob("*/judge.safetensors")), ids=str)
def test_judges_that_ship_open(path):
    opened = load_bundle(path.parent)
    model = opened.load_ttype_regressor().model
    assert model.attributes == tuple(opened.ttype_regressor.attributes)


def test_a_bundle_of_before_has_none(tmp_path):
    opened = load_bundle(write_small_bundle(tmp_path / "before", n=60))
    assert opened.ttype_regressor is None
    with pytest.raises(KeyError):
        opened.load_ttype_regressor()


CHANGES = {
    "": lambda m: m.update(judge=[]),
    ".file": lambda m: m["judge"].update(file="elsewhere.safetensors"),
    ".n": lambda m: m["judge"].update(n=0),
    ".real": lambda m: m["judge"].pop("real"),
    ".real.r": lambda m: m["judge"]["real"].update(r=1.5),
    ".real.rms": lambda m: m["judge"]["real"].update(rms="<b>"),
    ".real.bias": lambda m: m["judge"]["real"].pop("bias"),
    ".drawn": lambda m: m["judge"].update(drawn=None),
    ".drawn.none": lambda m: m["judge"]["drawn"].update(none={"r": 0, "rms": 1, "bias": 0}),
    ".attributes.arms.real": lambda m: m["judge"]["attributes"]["arms"].pop("real"),
    ".attributes.colour": lambda m: m["judge"]["attributes"].update(
        colour=m["judge"]["attributes"]["arms"]
    ),
    f".drawn.{PRIOR}.r": lambda m: m["judge"]["drawn"].update({PRIOR: {"rms": 1}}),
}


@pytest.mark.parametrize("field", CHANGES)
def test_a_field_out_of_range_is_named(bundle, field):
    manifest = read_manifest(bundle)
    CHANGES[field](manifest)
    reseal(bundle, manifest)
    with pytest.raises(BundleError, match=f"manifest.json: judge{field}: "):
        load_bundle(bundle)


@pytest.mark.parametrize("change", NO_WEIGHTS)
def test_weights_of_no_use_are_refused_at_once(bundle, change):
    arrays = load((bundle / JUDGE).read_bytes())
    arrays["head.bias"] = change(arrays["head.bias"])
    replace_file(bundle, JUDGE, save(arrays))
    with pytest.raises(BundleError, match=f"{JUDGE}.*{CURE}"):
        load_bundle(bundle)


@pytest.mark.parametrize("attack", ["missing", "extra", "shape", "noise"])
def test_weights_of_another_judge_are_refused_when_loaded(bundle, attack):
    arrays = load((bundle / JUDGE).read_bytes())
    if attack == "noise":
        arrays["noise"] = arrays["noise"][1:]
    else:
        spoil_head(arrays, attack)
    replace_file(bundle, JUDGE, save(arrays))
    opened = load_bundle(bundle)
    with pytest.raises(BundleError, match=f"{JUDGE}.*{CURE}"):
        opened.load_ttype_regressor()


def test_a_file_that_is_cut_is_refused(bundle):
    replace_file(bundle, JUDGE, (bundle / JUDGE).read_bytes()[:500])
    with pytest.raises(BundleError, match=f"{JUDGE}.*{CURE}"):
        load_bundle(bundle)
