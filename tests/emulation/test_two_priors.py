"""A PixelCNN and a rectified flow over the code maps of one model, in one bundle."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

import galaxy_explorer as ge
from galaxy_explorer.bundle.bundle import load_bundle
from galaxy_explorer.bundle.card import model_card
from galaxy_explorer.bundle.writer import add_files
from galaxy_explorer.emulation.emulator import CodeEmulator, Emulator, Request
from galaxy_explorer.errors import BundleError, RequestError
from tests.attacks.bundle_tools import read_manifest, reseal
from tests.small_bundle import PRIOR, write_small_bundle
from tests.small_flow import add_small_rectified

ASKED = Request(3, seed=4, condition={"ttype": 2.0}, guidance=1.5)
PIXELCNN, FLOW = f"{PRIOR}/pixelcnn", f"{PRIOR}/rectified"


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return add_small_rectified(write_small_bundle(tmp_path_factory.mktemp("two") / "b", n=60))


@pytest.fixture(scope="module")
def bundle(path):
    return load_bundle(path)


@pytest.fixture(scope="module")
def emulator(bundle) -> CodeEmulator:
    made = Emulator.open(bundle)
    assert isinstance(made, CodeEmulator)
    return made


def test_both_draw_and_the_flow_does_where_none_is_named(bundle, emulator) -> None:
    assert list(bundle.priors) == [PIXELCNN, FLOW]
    assert emulator.key == Emulator.open(bundle, PRIOR).key == FLOW
    other = Emulator.open(bundle, PRIOR, "pixelcnn")
    assert (other.key, Emulator.open(bundle, kind="pixelcnn").key) == (PIXELCNN, PIXELCNN)
    assert type(other.prior) is not type(emulator.prior)
    assert other.prior is bundle.load_prior(PRIOR, "pixelcnn")
    drawn = [one.codes(ASKED) for one in (other, emulator)]
    assert drawn[0].shape == drawn[1].shape == (3, 8, 8)
    assert not np.array_equal(*drawn)
    for model, kind in ((PRIOR, "flow"), ("k16-modern-8x8", None), (None, "flow")):
        with pytest.raises(BundleError, match=f"no prior .*there are {PIXELCNN}, {FLOW}"):
            Emulator.open(bundle, model, kind)
    with pytest.raises(KeyError, match="no prior of"):
        bundle.prior(PRIOR, "flow")


def test_generate_draws_by_the_kind_that_is_named(bundle, emulator) -> None:
    flow = ge.generate(bundle, n=2, ttype=2.0, seed=4)
    pixelcnn = ge.generate(bundle, n=2, ttype=2.0, seed=4, prior="pixelcnn")
    plain = replace(ASKED, count=2, guidance=None)
    assert np.array_equal(flow.codes, emulator.codes(plain))
    assert "rectified" in flow.header["PRIOR"]
    assert "PixelCNN" in pixelcnn.header["PRIOR"]
    assert not np.array_equal(flow.codes, pixelcnn.codes)


def test_the_card_has_both(bundle) -> None:
    for words in ("A rectified flow draws the vectors", "A gated PixelCNN draws", PIXELCNN, FLOW):
        assert words in bundle.card


def test_each_has_its_own_guidance_and_is_replaced_by_its_own_kind(tmp_path) -> None:
    path = add_small_rectified(write_small_bundle(tmp_path / "b", n=60))
    add_files(path, {}, model_card, guidance={FLOW: 2.0})
    before = load_bundle(path)
    assert [p.default_guidance for p in before.priors.values()] == [1.0, 2.0]
    after = load_bundle(add_small_rectified(path, layers=1))
    assert after.prior(PRIOR, "pixelcnn") == before.prior(PRIOR, "pixelcnn")
    assert after.prior(PRIOR).config["layers"] == 1
    assert len(after.manifest.files) == len(before.manifest.files)


def test_a_bundle_of_before_opens_and_takes_a_second_prior(tmp_path) -> None:
    """Its manifest has one prior a model, by the name of the model, and may name no kind."""
    path = write_small_bundle(tmp_path / "b", n=60)
    manifest = read_manifest(path)
    entry = manifest["priors"].pop(PIXELCNN)
    del entry["kind"]
    file, entry["file"] = entry["file"], f"{PRIOR}.prior.safetensors"
    (path / file).rename(path / entry["file"])
    manifest["files"][entry["file"]] = manifest["files"].pop(file)
    manifest["priors"][PRIOR] = entry
    reseal(path, manifest)
    codes = Emulator.open(load_bundle(path)).codes(ASKED)
    both = load_bundle(add_small_rectified(path))
    assert list(both.priors) == [PIXELCNN, FLOW]
    assert np.array_equal(Emulator.open(both, kind="pixelcnn").codes(ASKED), codes)


def test_a_name_of_another_kind_is_refused(tmp_path) -> None:
    path = write_small_bundle(tmp_path / "b", n=60)
    manifest = json.loads((path / "manifest.json").read_text())
    manifest["priors"][FLOW] = manifest["priors"].pop(PIXELCNN)
    reseal(path, manifest)
    with pytest.raises(BundleError, match=rf"priors\.{FLOW}\.kind"):
        load_bundle(path)


def test_the_flow_is_shown_step_by_step_and_ends_in_its_codes(emulator) -> None:
    parts = list(emulator.stream(ASKED))
    assert [part.share for part in parts] == pytest.approx(np.arange(1, 7) / 6)
    assert all((part.codes >= 0).all() for part in parts)
    assert np.array_equal(parts[-1].codes, emulator.codes(ASKED))
    assert not np.array_equal(parts[0].codes, parts[-1].codes)
    assert emulator.decode(parts[0].codes).shape == (3, 1, 64, 64)
    asked = iter(range(100))
    assert len(list(emulator.stream(ASKED, cancelled=lambda: next(asked) >= 4))) == 4
    with pytest.raises(RequestError, match="cancelled"):
        emulator.codes(ASKED, cancelled=lambda: True)


def test_laws_of_seeds_and_conditions_hold_for_the_flow(emulator) -> None:
    codes = emulator.codes(replace(ASKED, count=6))
    assert np.array_equal(codes[:3], emulator.codes(ASKED))
    assert np.array_equal(codes[5:], emulator.codes(replace(ASKED, count=1, first=5)))
    free = [replace(ASKED, condition={}, guidance=g) for g in (1.0, 3.0)]
    assert np.array_equal(*(emulator.codes(request) for request in free))
    types = (2.0, 2.0, -1.0)
    alike = replace(ASKED, condition={"ttype": types}, same_noise=True)
    same = emulator.codes(alike)
    assert np.array_equal(same[0], same[1])
    assert not np.array_equal(same[0], same[2])


def test_given_codes_stay_and_the_flow_goes_with_them(emulator) -> None:
    free = emulator.codes(ASKED)
    given = np.full((8, 8), -1)
    given[3:6, 2:5] = 7
    codes = emulator.codes(ASKED, fixed=given)
    assert (codes[:, 3:6, 2:5] == 7).all()
    elsewhere = given < 0
    assert not np.array_equal(codes[:, elsewhere], free[:, elsewhere])
    for part in emulator.stream(ASKED, fixed=given):
        assert (part.codes[:, 3:6, 2:5] == 7).all()
    with pytest.raises(RequestError, match=r"^fixed"):
        emulator.stream(ASKED, fixed=given[:3])
