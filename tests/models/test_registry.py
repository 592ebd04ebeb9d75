"""A kind of model is its own module and an entry in the registry: a toy of each goes all the way.

The toy autoencoder tells pixels of a coarse picture by their brightness, the toy prior draws each
code by itself. Nothing else in the package has heard of either.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from typer.testing import CliRunner

from galaxy_explorer import load_bundle
from galaxy_explorer.bundle.bundle import Bundle
from galaxy_explorer.cli import app
from galaxy_explorer.emulation.emulator import Emulator
from galaxy_explorer.emulation.likeness import Likeness
from galaxy_explorer.emulation.request import Request
from galaxy_explorer.errors import BundleError, RequestError, TrainingError
from galaxy_explorer.explorer.pages.codebooks.table import choices, format_choice
from galaxy_explorer.explorer.pages.emulator.page import prior_choices
from galaxy_explorer.explorer.pages.registry import has_code_maps
from galaxy_explorer.explorer.pages.vocabulary import codebook_of, coded_models
from galaxy_explorer.explorer.state import ExplorerState
from galaxy_explorer.models.autoencoder_training import StampTask
from galaxy_explorer.models.inference import config_from, encode_stamps, reconstruction_errors
from galaxy_explorer.models.layers import LayerRow, layer_row
from galaxy_explorer.models.prior_training import PriorRecipe
from galaxy_explorer.models.protocols import Autoencoder, Prior, StoredConfig
from galaxy_explorer.models.registry import (
    AUTOENCODERS,
    PRIORS,
    AutoencoderKind,
    PriorKind,
    kind_of_name,
    load,
)
from galaxy_explorer.pipeline.prior import add_prior
from galaxy_explorer.pipeline.train import make_plan, train_bundle
from tests.small_survey import write_small_survey

NAME = "toy-6"


@dataclass(frozen=True)
class ToyConfig(StoredConfig):
    kind: ClassVar[str] = "toy"
    code_dtype: ClassVar[str] = "uint16"
    eight_bit: ClassVar[bool] = False

    stamp_size: int = 64
    channels: int = 1
    num_embeddings: int = 4
    map_size: int = 4

    @property
    def name(self) -> str:
        return f"toy-{self.num_embeddings}"

    @property
    def code_shape(self) -> tuple[int, ...]:
        return (self.map_size, self.map_size)

    @property
    def code_counts(self) -> tuple[int, ...]:
        return (self.map_size**2,)

    def code_maps(self, codes):
        return {"": codes}


class Toy(Autoencoder):
    def __init__(self, config: ToyConfig) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("levels", torch.linspace(0, 1, config.num_embeddings)[:, None])
        self.light = nn.Conv2d(1, config.channels, 1)

    @property
    def codebooks(self) -> tuple[Tensor, ...]:
        return (self.levels,)

    def encode(self, stamps: Tensor) -> Tensor:
        side = self.config.stamp_size // self.config.map_size
        coarse = nn.functional.avg_pool2d(stamps.mean(1, keepdim=True).contiguous(), side)
        return (coarse[:, 0, ..., None] - self.levels[:, 0]).abs().argmin(-1)

    def vectors(self, codes: Tensor) -> tuple[Tensor, ...]:
        return (self.levels[codes].movedim(-1, 1),)

    def decode_vectors(self, *levels: Tensor) -> Tensor:
        return nn.functional.interpolate(self.light(levels[0]), self.config.stamp_size)

    def decode(self, codes: Tensor) -> Tensor:
        return self.decode_vectors(*self.vectors(codes))

    def features(self, codes: Tensor) -> Tensor:
        return self.levels[codes].flatten(1)

    def layer_table(self) -> list[LayerRow]:
        return [layer_row("light", self.light, "")]


class ToyTask(StampTask):
    def loss(self, step: int) -> Tensor:
        stamps = self.batch(step)
        return self.error(self.model.decode(self.model.encode(stamps)), stamps)

    def vocabulary(self, codes):
        return {"codes_changed": 0.0}


@dataclass(frozen=True)
class ToyPriorConfig(StoredConfig):
    kind: ClassVar[str] = "toy-prior"
    eight_bit: ClassVar[bool] = False
    reads: ClassVar[str] = "int64"

    places: int
    num_embeddings: int
    n_fields: int


class ToyPrior(Prior):
    def __init__(self, config: ToyPriorConfig) -> None:
        super().__init__()
        self.config = config
        self.logits = nn.Parameter(torch.zeros(config.places, config.num_embeddings))

    def log_prob(self, codes: Tensor, values: Tensor, states: Tensor) -> Tensor:
        each = self.logits.log_softmax(1)
        flat = codes.reshape(len(codes), -1)
        return each[torch.arange(self.config.places), flat].sum(1)


class ToySampler:
    def __init__(self, prior: ToyPrior) -> None:
        self.shares = prior.logits.detach().softmax(1).double().numpy()

    def codes(self, draw, cancelled=lambda: False):
        side = int(len(self.shares) ** 0.5)
        found = np.empty((len(draw.numbers), len(self.shares)), np.int64)
        for row, number in enumerate(draw.numbers):
            level = np.random.default_rng((draw.seed, number)).random((len(self.shares), 1))
            found[row] = (self.shares.cumsum(1) < level).sum(1).clip(max=self.shares.shape[1] - 1)
        return None if cancelled() else found.reshape(-1, side, side)


TOY_RECIPES = {"tiny": PriorRecipe("tiny", 40, 32, 0.1, 0.1, number_format="float32")}


def toy_plan(name, shape, num_embeddings, n_fields):
    config = ToyPriorConfig(int(np.prod(shape)), num_embeddings, n_fields)
    return config, TOY_RECIPES[name]


def toy_misfit(config, kind, coded):
    same = config["num_embeddings"] == coded["num_embeddings"]
    return None if same else ("config", "other codes than those of {model}")


AUTOENCODER = AutoencoderKind(
    name="toy",
    config=f"{__name__}:ToyConfig",
    network=f"{__name__}:Toy",
    task=f"{__name__}:ToyTask",
    names=r"toy-(?P<num_embeddings>\d+)",
    title=lambda config: f"toy of {config['num_embeddings']} levels, coarse",
    sizes={"num_embeddings": (2, 100), "map_size": (1, 64)},
    code_shape=lambda config: (config["map_size"], config["map_size"]),
    maps=1,
    prior="toy-prior",
    features=lambda _: ("codes",),
    prior_rank=lambda _: (0,),
)
PRIOR = PriorKind(
    name="toy-prior",
    config=f"{__name__}:ToyPriorConfig",
    network=f"{__name__}:ToyPrior",
    sampler=f"{__name__}:ToySampler",
    recipes=f"{__name__}:TOY_RECIPES",
    plan=f"{__name__}:toy_plan",
    title="shares of levels",
    short="shares",
    sizes={"places": (1, 4096), "num_embeddings": (2, 100), "n_fields": (0, 64)},
    code_shape=lambda config: (int(config["places"] ** 0.5),) * 2,
    misfit=toy_misfit,
    guided=False,
    card="Shares of levels draw coarse pictures.",
    shown=(("places", "places"),),
)


@pytest.fixture(scope="module")
def survey(tmp_path_factory: pytest.TempPathFactory):
    return write_small_survey(tmp_path_factory.mktemp("toys") / "blobs", n=220)


@pytest.fixture(scope="module")
def path(survey, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A bundle trained by the pipeline of one toy, and of its prior."""
    out = tmp_path_factory.mktemp("toys") / "bundle"
    flat = lambda features, seed: np.asarray(features[:, :2] + seed, np.float32)  # noqa: E731
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(AUTOENCODERS, "toy", AUTOENCODER)
        patch.setitem(PRIORS, "toy-prior", PRIOR)
        patch.setattr("galaxy_explorer.pipeline.clusters.fit_map", flat)  # UMAP takes a minute
        train_bundle(make_plan(survey.path, out, recipe="tiny", models=(NAME,)), lambda _: None)
        yield out


@pytest.fixture(scope="module")
def bundle(path: Path) -> Bundle:
    return load_bundle(path)


def test_it_is_trained_encodes_and_draws(bundle, survey) -> None:
    entry, model = bundle.models[NAME], bundle.load_model(NAME)
    assert entry.kind == "toy"
    assert entry.curve[-1]["nmse"] < entry.curve[0]["nmse"]
    assert 1 < entry.metrics["perplexity"] <= 6
    codes = encode_stamps(model, survey.model_input())
    assert np.array_equal(codes, bundle.codes(NAME))
    drawn = bundle.decode(NAME, np.arange(4))
    assert drawn.shape == (4, 1, 64, 64)
    errors = reconstruction_errors(model, survey.model_input(), codes)
    np.testing.assert_allclose(errors, bundle.column(f"{NAME}/error"), rtol=1e-5)
    assert bundle.clusterings[f"{NAME}/codes"].feature_values.shape[0] == len(bundle)


def test_its_prior_draws_and_says_how_likely(bundle) -> None:
    assert bundle.prior(NAME).kind == "toy-prior"
    assert {"nll", "bits", "label_gain"} <= bundle.prior(NAME).metrics.keys()
    emulator = Emulator.open(bundle)
    request = Request(5, seed=3, condition={"ttype": 1.0})
    codes = emulator.codes(request)
    assert (codes.shape, codes.dtype) == ((5, 4, 4), np.uint16)
    assert np.array_equal(codes[2:3], emulator.codes(Request(1, 3, request.condition, first=2)))
    assert emulator.decode(codes).shape == (5, 1, 64, 64)
    facts = Likeness(emulator).facts(request, codes)
    assert np.isfinite(facts.log_prob).all()
    assert (facts.distances >= 0).all()
    with pytest.raises(RequestError, match=f"guidance 2: the shares of {NAME} has none"):
        emulator.codes(Request(1, guidance=2.0))


def test_commands_draw_from_it_and_list_its_layers(path, tmp_path) -> None:
    words = ["generate", str(path), "--ttype", "4", "-n", "2", "--out", str(tmp_path / "g.fits")]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    done = CliRunner().invoke(app, ["info", str(path), "--layers"])
    assert "light" in done.output


def test_the_prior_is_given_to_a_finished_bundle_too(path, survey) -> None:
    before = load_bundle(path).manifest.files
    assert add_prior(path, survey.path, recipe="tiny") == NAME
    assert load_bundle(path).manifest.files.keys() == before.keys()
    with pytest.raises(TrainingError, match=f"of {NAME} choose tiny"):
        add_prior(path, survey.path, recipe="paper")


def test_pages_and_card_name_both(bundle) -> None:
    words = "toy of 6 levels, coarse"
    prior = f"{NAME}/toy-prior"
    assert prior_choices(bundle, "") == {f"{words} (shares)": prior}
    assert list(prior_choices(bundle, prior)) == [f"{words} (shares) (recommended)"]
    assert [format_choice(bundle, key) for key in choices(bundle)] == [f"{words}, by code vectors"]
    state = ExplorerState(bundle)
    assert state.words(f"{NAME}/codes") == "toy of 6 levels, by code vectors"
    assert has_code_maps(SimpleNamespace(bundle=bundle))
    assert coded_models(bundle) == [NAME]
    assert codebook_of(bundle, NAME).vectors.shape == (6, 1)
    assert "Shares of levels draw coarse pictures." in bundle.card
    assert "prior of | places | steps" in bundle.card


def test_a_bundle_of_an_unknown_kind_or_wrong_sizes_is_refused(path, tmp_path, monkeypatch) -> None:
    monkeypatch.setitem(AUTOENCODERS, "toy", AutoencoderKind(**{**vars(AUTOENCODER), "sizes": {
        "num_embeddings": (7, 100)}}))  # fmt: skip
    with pytest.raises(BundleError, match="num_embeddings: a whole number 7 to 100"):
        load_bundle(path)
    monkeypatch.delitem(AUTOENCODERS, "toy")
    with pytest.raises(BundleError, match="'toy' is not one of"):
        load_bundle(path)


@pytest.mark.parametrize("name", AUTOENCODERS)
def test_an_entry_says_what_its_config_says(name) -> None:
    """What is known without torch agrees with the classes, for every kind that ships."""
    kind = AUTOENCODERS[name]
    config_class = load(kind.config)
    config = config_class("conv") if name == "convae" else config_class()
    values = json.loads(json.dumps(config.to_dict()))
    assert config_class.kind == name
    assert config_from(name, values) == config
    assert kind.code_shape(values) == config.code_shape
    assert kind.maps == len(config.code_counts) == len(kind.build(config).codebooks)
    assert (config.code_dtype == "float16") == (kind.encoded == "latents")
    assert kind_of_name(config.name)[0] is kind
    assert kind.prior in PRIORS
    assert kind.title(values)


@pytest.mark.parametrize("name", PRIORS)
def test_every_prior_has_its_parts(name) -> None:
    kind = PRIORS[name]
    recipes = load(kind.recipes)
    coder = next(k for k in AUTOENCODERS.values() if k.prior == name or k.name in kind.over)
    shapes = {"pixelcnn": (8, 8), "hierarchical": (320,), "flow": (64,), "rectified": (16, 16)}
    shape = shapes[name]
    config, recipe = load(kind.plan)("tiny", shape, 16 if coder.maps else 0, 2)
    assert recipe.name == "tiny"
    assert "tiny" in recipes
    assert load(kind.config).kind == name
    assert kind.code_shape(config.to_dict()) == shape
    assert hasattr(kind.sampler_of(kind.build(config)), "stages") == kind.streams
    for field, (low, high) in kind.sizes.items():
        assert low <= config.to_dict()[field] <= high
