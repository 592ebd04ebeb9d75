"""A flow in a bundle: what is read, refused, drawn, and written to files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from typer.testing import CliRunner

from galaxy_explorer.bundle.bundle import Bundle, load_bundle
from galaxy_explorer.cli import app
from galaxy_explorer.emulation.emulator import CodeEmulator, Emulator
from galaxy_explorer.emulation.request import Request
from galaxy_explorer.errors import BundleError, RequestError
from galaxy_explorer.models import sampler as flow_sampler
from tests.small_bundle import CONVAE, PRIOR, write_small_bundle
from tests.small_flow import add_small_flow

ASKED = Request(5, seed=4, condition={"ttype": 2.0})


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return add_small_flow(write_small_bundle(tmp_path_factory.mktemp("flow") / "b"))


@pytest.fixture(scope="module")
def bundle(path: Path) -> Bundle:
    return load_bundle(path)


@pytest.fixture(scope="module")
def emulator(bundle: Bundle) -> Emulator:
    return Emulator.open(bundle, CONVAE)


def test_a_bundle_may_have_both_and_draws_code_maps_where_none_is_named(bundle) -> None:
    assert {name: prior.kind for name, prior in bundle.priors.items()} == {
        f"{PRIOR}/pixelcnn": "pixelcnn",
        f"{CONVAE}/flow": "flow",
    }
    assert isinstance(Emulator.open(bundle), CodeEmulator)
    assert Emulator.open(bundle, CONVAE).kind.name == "flow"
    assert "a density over latents" in bundle.card
    assert "PixelCNN draws code maps" in bundle.card


def test_a_flow_alone_draws(tmp_path) -> None:
    alone = add_small_flow(write_small_bundle(tmp_path / "b", n=60, prior=None))
    assert Emulator.open(load_bundle(alone)).kind.name == "flow"


@pytest.mark.parametrize(
    ("model", "changes", "words"),
    [
        (CONVAE, {"kind": "gan"}, "kind: 'gan' is not one of"),
        (CONVAE, {"kind": ["flow"]}, "kind"),
        (CONVAE, {"config": {}}, "latents: a whole number"),
        (PRIOR, {}, "a flow is of a model with latents"),
        (CONVAE, {"kind": "pixelcnn"}, "height: a whole number"),
    ],
)
def test_a_flow_that_does_not_fit_is_refused(tmp_path, model, changes, words) -> None:
    path = write_small_bundle(tmp_path / "b", n=60)
    before = load_bundle(path).hash
    with pytest.raises(BundleError, match=words):
        add_small_flow(path, model, **changes)
    assert load_bundle(path).hash == before


def test_a_flow_of_other_latents_is_refused(tmp_path, bundle) -> None:
    path = write_small_bundle(tmp_path / "b", n=60)
    config = {**bundle.prior(CONVAE).config, "latents": 63}
    add_small_flow(path, config=config)
    with pytest.raises(BundleError, match=f"{CONVAE} has 64 latents"):
        load_bundle(path)


def test_the_same_seed_draws_the_same_galaxies_whatever_the_batch_size(
    emulator, monkeypatch
) -> None:
    latents = emulator.codes(ASKED)
    assert latents.shape == (5, 64)
    assert latents.dtype == np.float16
    for size in (1, 2, 3):
        monkeypatch.setattr(flow_sampler, "BATCH", size)
        assert np.array_equal(latents, emulator.codes(ASKED))
    assert np.array_equal(latents[3:], emulator.codes(replace(ASKED, count=2, first=3)))
    assert not np.array_equal(latents, emulator.codes(replace(ASKED, seed=5)))
    each = replace(ASKED, condition={"ttype": (2.0, -1.0, 2.0, 2.0, 2.0)})
    rows = [0, 2, 3, 4]
    assert np.array_equal(latents[rows], emulator.codes(each)[rows])
    assert not np.array_equal(latents[1], emulator.codes(each)[1])


def test_any_fields_may_be_left_out_and_temperature_narrows(emulator) -> None:
    for condition in ({}, {"magnitude": 15.0}, {"ttype": 1.0, "magnitude": 15.0}):
        assert emulator.codes(replace(ASKED, condition=condition)).shape == (5, 64)
    widths = [
        emulator.codes(Request(200, temperature=t)).astype(float).std(0).mean() for t in (0.25, 1.0)
    ]
    assert widths[0] == pytest.approx(
        widths[1] / 2, rel=0.1
    )  # an untrained flow is near a Gaussian


def test_samples_are_as_likely_as_the_flow_says(emulator) -> None:
    """What is drawn has a density that the draws themselves confirm: its mean is the entropy."""
    drawn = emulator.codes(Request(500, condition={"ttype": 2.0}))
    nats = emulator.log_prob(drawn, {"ttype": 2.0})
    assert nats.shape == (500,)
    deviates = np.random.default_rng(0).normal(size=(500, 64))
    assert nats.std() == pytest.approx(np.square(deviates).sum(1).std() / 2, rel=0.25)


def test_guidance_is_refused_and_one_is_none(emulator) -> None:
    with pytest.raises(RequestError, match="guidance 2: the flow of convae-conv has none"):
        emulator.codes(replace(ASKED, guidance=2.0))
    assert np.array_equal(emulator.codes(ASKED), emulator.codes(replace(ASKED, guidance=1.0)))
    with pytest.raises(RequestError, match="cancelled"):
        emulator.codes(ASKED, cancelled=lambda: True)


def test_generate_writes_latents_where_there_are_no_codes(path: Path, tmp_path: Path) -> None:
    words = ["generate", str(path), "--model", CONVAE, "--ttype", "4", "-n", "3", "--seed", "1"]
    done = CliRunner().invoke(app, [*words, "--out", str(tmp_path / "g.fits")])
    assert done.exit_code == 0, done.output
    with fits.open(tmp_path / "g.fits") as opened:
        assert opened[0].header["MODEL"] == CONVAE
        assert opened[0].data.shape == (3, 64, 64)
        assert opened["LATENTS"].data.shape == (3, 64)
        assert np.isfinite(opened["CATALOG"].data["log_prob"]).all()
        assert "CODES" not in opened
    out = tmp_path / "folder"
    assert CliRunner().invoke(app, [*words, "--out", str(out)]).exit_code == 0
    assert len(list(out.glob("*.fits"))) == 3
    refused = CliRunner().invoke(
        app, [*words, "--guidance", "2", "--out", str(tmp_path / "h.fits")]
    )
    assert isinstance(refused.exception, RequestError)
    assert not (tmp_path / "h.fits").exists()
