from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from galaxy_explorer import load_bundle
from galaxy_explorer.bundle.emulation import headline
from galaxy_explorer.cli import app
from galaxy_explorer.emulation import morphology
from galaxy_explorer.emulation.emulator import Emulator
from galaxy_explorer.emulation.likeness import SkyNoise, read_drawn
from galaxy_explorer.emulation.morphology import MEASURED
from galaxy_explorer.errors import BundleError
from galaxy_explorer.evaluation.context import Context
from galaxy_explorer.evaluation.emulator import comparison
from galaxy_explorer.evaluation.emulator import comparison as scores
from galaxy_explorer.evaluation.emulator.contact_sheet import (
    A_ROW,
    FEWEST,
    GAP_PX,
    LARGER,
    NEAREST,
    TTYPES,
    WORDS_PX,
)
from galaxy_explorer.evaluation.emulator.measure import HeldOut
from galaxy_explorer.evaluation.emulator.run import GUIDANCES, PriorMeasurement, evaluate_emulator
from galaxy_explorer.models.ttype_regressor import judge_stamps
from galaxy_explorer.pipeline.prior import add_prior
from tests.small_bundle import write_small_bundle
from tests.small_proof import write_proof_bundle
from tests.small_survey import write_small_survey

SAMPLES = 72
# The proof has no share in a test's time: on a machine with much to do it takes many minutes.
pytestmark = pytest.mark.timeout(3600)


def simple_measure(stamp: np.ndarray, smallest: float = 0.0) -> np.ndarray:
    """Stands in for statmorph, which takes 0.2 s a stamp."""
    part = np.sort(stamp.ravel())
    values = [part[-1], part[-100:].mean(), *part[[-200, -50, -500, -10]], part.std()]
    return np.array([*values, stamp[32].mean(), 0.0])


@pytest.fixture(scope="module")
def survey(tmp_path_factory):
    return write_small_survey(tmp_path_factory.mktemp("surveys") / "blobs", n=400, attributes=True)


FLOW = "convae-conv"


@pytest.fixture(scope="module")
def bundle(survey, tmp_path_factory):
    path = write_proof_bundle(tmp_path_factory.mktemp("bundles") / "sky", survey)
    add_prior(path, survey.path, model=FLOW, recipe="tiny")
    return path


@pytest.fixture(scope="module")
def _quick():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scores, "FEW_RESAMPLES", 20)
        patch.setattr(comparison, "TREES", 10)
        patch.setattr(morphology, "measure_one", simple_measure)
        yield


@pytest.fixture(scope="module")
def proof(_quick, bundle, survey):
    said: list[str] = []
    return evaluate_emulator(bundle, survey.path, samples=SAMPLES, grid="tiny", say=said.append)


def test_the_bundle_keeps_the_proof(proof, bundle):
    opened = load_bundle(bundle)
    assert opened.emulation == proof
    assert opened.prior(proof.model).default_guidance == proof.guidance
    assert {figure.group for figure in proof.figures} == {
        *("label", "judge", "distribution", "memory")
    }
    assert {trend.kind for trend in proof.trends} == {
        *("real", "reconstruction"),
        "sample",
        "control",
    }
    assert [point.guidance for point in proof.curve] == list(GUIDANCES)
    assert {histogram.statistic for histogram in proof.histograms} == set(MEASURED)


def test_the_card_shows_samples_under_real_galaxies_of_their_type(proof, bundle, survey):
    """Two rows of ten for each type of the sheet that enough held-out galaxies have."""
    ttype = survey.column("ttype")[survey.column("split") == "test"]
    shown = [t for t in TTYPES if (np.abs(ttype - t) <= NEAREST).sum() >= FEWEST]
    assert shown
    sheet = Image.open(bundle / "samples.webp")
    side = round(64 * LARGER) + GAP_PX
    assert sheet.size == (side * A_ROW, (side + WORDS_PX) * 2 * len(shown))
    pixels = np.asarray(sheet.convert("L"), float)
    assert pixels[WORDS_PX : side + WORDS_PX].std() > 1
    assert "](samples.webp)" in (bundle / "README.md").read_text()


def test_the_bundle_keeps_the_judge_measured_as_it_ships(proof, bundle, survey):
    opened = load_bundle(bundle)
    ttype, split = survey.column("ttype"), survey.column("split")
    rows = np.flatnonzero(np.isfinite(ttype) & (split == "test"))
    judge, said = opened.load_ttype_regressor(), opened.ttype_regressor
    found = judge_stamps(judge.model, survey.model_input(rows))
    assert said.n == len(rows)
    error = found.ttype - ttype[rows]
    assert said.real.r == pytest.approx(np.corrcoef(found.ttype, ttype[rows])[0, 1], abs=1e-4)
    assert said.real.rms == pytest.approx(np.sqrt((error**2).mean()), abs=1e-4)
    assert said.real.bias == pytest.approx(error.mean(), abs=1e-4)
    assert said.real.low < said.real.r < said.real.high
    assert set(said.drawn) == {proof.model, FLOW}
    drawn = read_drawn(judge, opened.decode(FLOW, rows), rows)
    assert said.drawn[FLOW].rms == pytest.approx(
        np.sqrt(((drawn.ttype - ttype[rows]) ** 2).mean()), abs=1e-4
    )
    arms = survey.column("arm_strength")[rows]
    read = said.attributes["arms"]
    assert read.n == len(rows)
    assert read.real.bias == pytest.approx((found.attributes[:, 0] - arms).mean(), abs=1e-4)
    assert set(read.drawn) == set(said.drawn)
    own = survey.column("ttype_source")[rows] == "A"
    assert said.sources["A"].n == own.sum() >= 20
    assert said.sources["A"].real.bias == pytest.approx(error[own].mean(), abs=1e-4)
    assert 0 < judge.noise.mean() < 1
    card = (bundle / "README.md").read_text()
    assert "# Judge" in card
    assert f"| Strength of the arms | {FLOW} | {read.n} |" in card


def test_the_judge_alone_goes_into_a_bundle(proof, bundle, survey, tmp_path):
    """The same training as of the proof, which is not done again; no prior is needed."""
    out = tmp_path / "copy"
    words = ["evaluate", str(bundle), "--survey", str(survey.path), "--grid", "tiny", "--judge"]
    found = CliRunner().invoke(app, [*words, "--out", str(out)])
    assert found.exit_code == 0, found.output
    assert (out / "judge.safetensors").read_bytes() == (bundle / "judge.safetensors").read_bytes()
    assert "Strength of the arms, real: r " in found.output
    assert load_bundle(out).ttype_regressor == load_bundle(bundle).ttype_regressor
    refused = CliRunner().invoke(app, [*words, "--emulator"])
    assert "give one of the two" in refused.output + str(refused.exception)


def test_the_flow_stands_beside_it_by_the_same_figures(proof, bundle):
    (flow,) = proof.others
    assert flow.model == FLOW
    assert "flow" in flow.settings["prior"]
    named = [[(f.name, f.statistic) for f in part.figures] for part in (proof, flow)]
    assert named[0] == named[1]
    assert all(proof.figure(figure).goal_high == figure.goal_high for figure in flow.figures)
    assert {trend.kind for trend in flow.trends} == {trend.kind for trend in proof.trends}
    assert (flow.curve, flow.guidance) == ((), 1.0)
    assert load_bundle(bundle).prior(FLOW).default_guidance == 1.0
    different = [f.value for f in flow.figures] != [f.value for f in proof.figures]
    assert different


def test_the_card_names_every_figure(proof, bundle):
    card = (bundle / "README.md").read_text()
    assert "--emulator`" in card
    assert f"Beside it: the prior of `{FLOW} (flow)`" in card
    for figure in (*proof.figures, *proof.others[0].figures):
        assert figure.name in card
        assert figure.verdict in card


def test_the_command_resumes_and_writes_into_a_copy(proof, bundle, survey, tmp_path, monkeypatch):
    """What was drawn and measured before is neither drawn nor measured again."""
    monkeypatch.setattr(morphology, "measure_one", None)
    monkeypatch.setattr("galaxy_explorer.models.sampler.Sampler.rows", None)
    monkeypatch.setattr("galaxy_explorer.models.sampler.FlowSampler.codes", None)
    out = tmp_path / "copy"
    options = ["--emulator", "-n", str(SAMPLES), "--grid", "tiny"]
    options += ["--survey", str(survey.path), "--out", str(out)]
    found = CliRunner().invoke(app, ["evaluate", str(bundle), *options])
    assert found.exit_code == 0, found.output
    assert load_bundle(out).emulation == proof
    for name in ("judge.safetensors", "emulation.json", "README.md", "manifest.json"):
        assert (out / name).read_bytes() == (bundle / name).read_bytes()
    assert all(figure.name in found.output for figure in proof.figures)
    assert all(sentence in found.output.replace("\n", " ") for sentence in headline(proof))
    assert headline(proof)


def test_one_prior_is_measured_alone_and_the_others_stay(proof, bundle, survey, tmp_path):
    """All of it is kept in the work folder, so that nothing is drawn or measured again."""
    out = tmp_path / "copy"
    again = evaluate_emulator(
        bundle, survey.path, samples=SAMPLES, grid="tiny", out=out, only=FLOW, say=lambda _: None
    )
    assert again == load_bundle(out).emulation == proof
    with pytest.raises(BundleError, match=f"-n {SAMPLES}"):
        evaluate_emulator(bundle, survey.path, samples=60, only=FLOW, say=lambda _: None)
    bare = write_small_bundle(tmp_path / "bare", n=60)
    with pytest.raises(BundleError, match="never measured"):
        evaluate_emulator(bare, survey.path, only="k512-modern-8x8", say=lambda _: None)


def test_a_bundle_without_a_prior_says_what_makes_one(tmp_path, survey):
    path = write_small_bundle(tmp_path / "plain", n=60, prior=None)
    with pytest.raises(BundleError, match="no prior"):
        evaluate_emulator(path, survey.path, say=lambda _: None)


def test_every_sample_has_a_number_of_its_own(proof, bundle, survey):
    context = Context(load_bundle(bundle), survey, bundle.with_name("sky.work"), "tiny")
    evaluation = PriorMeasurement(
        context, Emulator.open(context.bundle), SAMPLES, 1, lambda _: None
    )
    rows, places = np.arange(10, 30), np.resize([3, 5, 8], 10)
    real = evaluation.measurer.training().rows(np.arange(20))
    held_out = HeldOut(real, real, SkyNoise(np.arange(20.0), np.ones((64, 33))))
    asked = evaluation._asked(held_out, rows, places, first_round=2)
    assert len(set(asked.numbers)) == 10
    np.testing.assert_array_equal(asked.numbers % len(survey), rows[places])
    np.testing.assert_array_equal(asked.sigma, places)
