"""The public names: what they are, that they cost nothing before use, and that examples run."""

from __future__ import annotations

import ast
import doctest
import importlib
import io
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from PIL import Image

import galaxy_explorer as ge
from galaxy_explorer.classification import Classification, Classifications
from tests.deconvolution.scenes import galaxies
from tests.small_bundle import write_small_bundle
from tests.small_psf_bundle import write_small_hst_survey, write_small_psf_bundle
from tests.small_survey import blobs, write_small_survey

PACKAGES = tuple(f"galaxy_explorer{room}" for room in ("", ".survey", ".labels", ".deconvolution"))
PROMISED = (
    *("Survey", "ingest", "simulate_survey", "train", "load_bundle", "classify", "generate"),
    *("deconvolve", "Explorer", "Labels", "check"),
)
LOADED = "import sys, {0}; print(*sorted(n for n in sys.modules if '.' not in n))"
LONGEST_REPR = 200


def test_what_is_promised_is_there_and_says_what_it_does() -> None:
    for name in PROMISED:
        thing = getattr(ge, name)
        assert callable(thing), name
        assert "Raises" in thing.__doc__, name
        assert ">>> " in thing.__doc__, name


@pytest.mark.parametrize("package", PACKAGES)
def test_names_are_listed_once_and_lead_somewhere(package: str) -> None:
    module = importlib.import_module(package)
    tree = ast.parse(Path(module.__file__ or "").read_text(encoding="utf-8"))
    typed = {
        alias.name
        for block in tree.body
        if isinstance(block, ast.If)
        for line in block.body
        if isinstance(line, ast.ImportFrom)
        for alias in line.names
    }
    assert dir(module) == sorted(module.__all__)
    assert typed == set(module.__all__) - {"__version__"}
    assert [name for name in module.__all__ if getattr(module, name) is None] == []
    with pytest.raises(AttributeError, match="no attribute 'nothing_of_the_kind'"):
        _ = module.nothing_of_the_kind


@pytest.mark.parametrize("package", PACKAGES)
def test_importing_a_package_loads_nothing_but_the_standard_library(package: str) -> None:
    done = subprocess.run(
        [sys.executable, "-S", "-c", f"import sys; sys.path[:] = {sys.path!r}; "
         + LOADED.format(package)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    loaded = set(done.stdout.split())
    assert loaded - set(sys.stdlib_module_names) == {"__main__", "galaxy_explorer"}


def test_a_function_is_there_whatever_was_imported_before() -> None:
    """No module of the package has the name of a public function."""
    modules = {path.stem for path in Path(ge.__file__).parent.iterdir()}
    assert modules & set(ge.__all__) == set()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with what the examples speak of."""
    folder = tmp_path_factory.mktemp("examples")
    write_small_survey(folder / "surveys" / "blobs", n=60)
    write_small_bundle(folder / "trained" / "toy", n=60)
    hst = write_small_hst_survey(folder / "surveys" / "hst")
    write_small_psf_bundle(folder / "trained" / "hst", hst)
    (folder / "stamps").mkdir()
    ttype = np.linspace(-5, 6, 12)
    for i, stamp in enumerate(blobs(ttype, np.random.default_rng(0))):
        pixels = (255 * stamp[0].clip(0, 1)).round().astype(np.uint8)
        Image.fromarray(pixels).save(folder / "stamps" / f"g{i:02d}.png")
    files = [f"g{i:02d}.png" for i in range(12)]
    table = Table({"name": [f"NGC {i}" for i in range(12)], "file": files, "T": ttype})
    table.write(folder / "galaxies.csv")
    noise = np.random.default_rng(0).normal(0, 0.2, (100, 100))
    light = (0.3 + np.pad(1000 * galaxies(1)[0], 8) + noise).astype(np.float32)
    fits.PrimaryHDU(light).writeto(folder / "f160w.fits")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        yield folder


def examples() -> list[doctest.DocTest]:
    """The examples of all public names, in the order in which they build upon each other."""
    order = [*PROMISED, *(name for name in ge.__all__ if name not in PROMISED)]
    order.insert(0, order.pop(order.index("simulate_survey")))
    found = []
    for name in order:
        thing = getattr(ge, name)
        text = getattr(thing, "__doc__", None) or ""
        parsed = doctest.DocTestParser().get_doctest(text, {}, f"ge.{name}", None, 0)
        if parsed.examples:
            found.append(parsed)
    return found


def test_the_examples_run_and_say_the_truth(place: Path, monkeypatch) -> None:
    # The training itself has tests of its own, which take their time.
    monkeypatch.setattr(
        "galaxy_explorer.pipeline.train.train_bundle",
        lambda plan, _: write_small_bundle(plan.out, n=len(plan.survey)),
    )
    written = io.StringIO()
    runner = doctest.DocTestRunner(verbose=False)
    for example in examples():
        runner.run(example, out=written.write)
    assert runner.summarize(verbose=False).failed == 0, written.getvalue()
    assert {example.name for example in examples()} >= {f"ge.{name}" for name in PROMISED}


def test_what_is_returned_shows_itself_in_a_line(place: Path) -> None:
    bundle = ge.load_bundle("trained/toy")
    found = ge.classify(bundle, ["stamps/g00.png", "absent.png"])
    report = ge.ingest("stamps", "galaxies.csv", "surveys/short", image="file", ttype="T")
    undone = ge.deconvolve("trained/hst", ["f160w.fits", "stamps/g00.png"])
    with ge.Labels("short.db", bundle) as labels:
        labels.give("Ada", "galaxy-0001", "T3")
        labels.export_table("short.ecsv")
        plan = labels.import_table("short.ecsv", "Grace", dry_run=True)
        things = [
            bundle, found, *found, found[0].models["k16-modern-8x8"],
            found[0].clusterings["k16-modern-8x8/codes"], report, report.survey, undone, *undone,
            ge.generate(bundle, n=3, ttype=4), labels, plan, ge.Explorer(bundle),
        ]  # fmt: skip
        for thing in things:
            text = repr(thing)
            limit = 4 * LONGEST_REPR if isinstance(thing, tuple | ge.Explorer) else LONGEST_REPR
            assert len(text) <= limit, text
            assert "\n" not in text, text


def test_classifications_are_a_sequence_a_table_and_json(place: Path) -> None:
    found = ge.classify("trained/toy", ["stamps", "absent.png"])
    assert isinstance(found, Classifications)
    assert isinstance(found[0], Classification)
    assert list(found.rejected) == ["absent.png"]
    assert len(found.table) == len(found) == 13
    paths = found.write("found.csv")
    assert [path.name for path in paths] == ["found.csv", "found-probabilities.csv"]
    plain = found.to_dict()
    assert (plain["classified"], plain["rejected"]) == (12, 1)
    assert plain["images"][12]["models"] == {}


def test_samples_in_memory_are_those_in_the_file(place: Path) -> None:
    samples = ge.generate("trained/toy", n=3, seed=2, condition={"ttype": [1.0, 2.0, 3.0]})
    samples.write("three.fits")
    with fits.open("three.fits") as opened:
        np.testing.assert_array_equal(opened[0].data, samples.stamps[:, 0])
        np.testing.assert_array_equal(opened["CODES"].data, samples.codes)
        assert list(opened["CATALOG"].data["asked_ttype"]) == [1.0, 2.0, 3.0]
        assert opened[0].header["SEED"] == samples.header["SEED"] == 2
    assert list(samples.catalogue["name"]) == samples.names
    assert samples.shown.shape == samples.stamps.shape


def test_a_survey_may_be_given_opened(place: Path) -> None:
    with pytest.raises(ge.GalaxyExplorerError, match="--recipe huge: unknown"):
        ge.train(ge.Survey.open("surveys/blobs"), "trained/none", "huge")


def test_labels_without_a_bundle_know_what_was_said(place: Path) -> None:
    with ge.Labels("alone.db") as labels:
        labels.give("Ada", "M 31", "T3", note="a note of the label")
        assert labels.annotators == ["Ada"]
        assert labels.said("M 31") == {"Ada": {"stage": "T3"}}
        assert labels.said("M 33") == {}
        labels.export_table("alone.csv")
        with pytest.raises(ge.GalaxyExplorerError, match="not in the vocabulary"):
            labels.give("Ada", "M 31", "T99")
    with ge.Labels("other.db") as other:
        assert other.import_table("alone.csv").new == 1
        assert other.said("M 31") == {"Ada": {"stage": "T3"}}
