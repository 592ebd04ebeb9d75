"""Samples of the Emulator page as an independent judge reads them."""

from __future__ import annotations

import pytest

from galaxy_explorer.bundle.bundle import load_bundle
from galaxy_explorer.emulation.emulator import Emulator
from galaxy_explorer.emulation.likeness import Likeness
from galaxy_explorer.emulation.observation import ObservationSettings
from galaxy_explorer.emulation.request import Request
from galaxy_explorer.explorer.context import AppContext
from galaxy_explorer.explorer.links import SelectionStore
from galaxy_explorer.explorer.pages.emulator.detail import format_read_ttype
from galaxy_explorer.explorer.pages.emulator.source import DisplayOptions, EmulatorSource, made_file
from galaxy_explorer.explorer.pages.emulator.views import SamplesView
from galaxy_explorer.explorer.pictures.display import DisplaySettings
from galaxy_explorer.explorer.pictures.stamps import StampStore
from galaxy_explorer.settings import read_settings
from tests.small_bundle import write_small_bundle
from tests.small_judge import add_small_judge

ASKED = Request(2, 1, {"ttype": 4.0})


def shown(source: EmulatorSource, request: Request) -> SamplesView:
    """The samples of the page when all of a request is there."""
    samples, look = (
        SamplesView(source, lambda _: None, DisplaySettings()),
        DisplayOptions(DisplaySettings()),
    )
    samples.begin(request, look, "so asked")
    for step in samples.work(request, look)(lambda: False):
        samples.show(step.content)
    return samples


@pytest.fixture(scope="module")
def judged(tmp_path_factory):
    """The source of a bundle with a judge."""
    folder = tmp_path_factory.mktemp("judged")
    bundle = load_bundle(add_small_judge(write_small_bundle(folder / "sky", n=60)))
    store = SelectionStore(folder / "selections", bundle.hash, len(bundle), 10)
    stamps = StampStore(bundle, folder / "stamps")
    yield EmulatorSource(AppContext(bundle, stamps, None, store, read_settings({})))
    stamps.close()


def test_a_judge_reads_type_and_attributes_of_samples(judged) -> None:
    samples = shown(judged, ASKED)
    words, hint = samples.view.cards[1]["lines"][-1]
    read = samples.facts.read
    assert list(read) == ["read_ttype", "read_arms", "read_bar"]
    assert words == f"T read as {read['read_ttype'][1]:.1f}".replace("-", "−")
    assert "−" in words
    assert "T is read off the synthetic galaxy" in samples.view.heading
    assert "errors, of 20 held-out real galaxies: r 0.86, rms error 2.1" in hint
    assert "as the model draws them: r 0.77" in hint
    samples.on_message({"sample": 1})
    large = samples.detail.prepare()()
    assert "T as read" in large
    assert f"<b>{words.removeprefix('T read as ')}</b>" in large
    assert "Strength of the arms as read, 0 to 1" in large
    assert f"<b>{read['read_arms'][1]:.2f}</b>" in large
    _, data = made_file(
        judged,
        ASKED,
        samples.made[1],
        samples.facts,
        observation=ObservationSettings(),
        kind="ecsv",
    )
    assert b"read_ttype" in data
    assert b"read_bar" in data


def test_it_reads_them_whatever_was_asked_for(judged) -> None:
    samples = shown(judged, Request(2, 1))
    assert len(samples.facts.read["read_ttype"]) == 2


def test_nothing_is_read_without_a_judge(bundle) -> None:
    emulator = Emulator.open(bundle)
    assert Likeness(emulator).facts(ASKED, emulator.codes(ASKED)).read == {}


def test_a_sample_has_one_read_type_however_many_are_drawn(judged) -> None:
    both, second = Request(2, 1, {"ttype": 4.0}), Request(1, 1, {"ttype": 4.0}, first=1)
    found = [
        judged.facts(r, judged.emulator.codes(r)).read["read_ttype"][-1] for r in (both, second)
    ]
    assert found[0] == pytest.approx(found[1], abs=1e-4)


@pytest.mark.parametrize(("ttype", "words"), [(3.44, "3.4"), (-0.04, "0.0"), (-2.06, "−2.1")])
def test_a_read_type_has_one_decimal_and_a_true_minus(ttype, words) -> None:
    assert format_read_ttype(ttype) == words
