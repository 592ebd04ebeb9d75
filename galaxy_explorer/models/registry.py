"""The kinds of autoencoder and of prior that there are, listed without loading torch.

A new kind of model is a module of its own, which holds its config, its network and what trains it,
and one entry here. Everything else in the package asks the entry: nobody tests for a name of a
kind or for a class. A manifest names a kind by its key in these tables, never by a place.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from math import prod
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from galaxy_explorer.models.protocols import (
        Autoencoder,
        AutoencoderConfig,
        Prior,
        PriorConfig,
        PriorSampler,
    )

Values = Mapping[str, Any]  # the fields of a config as a manifest has them
Limits = Mapping[str, tuple[int, int]]

CODES, LATENTS = "codes", "latents"
CLUSTERED_SIDE = 8  # the report clusters the 8 x 8 maps
INDEX_SIZES = (16, 512)  # codebooks whose indices are clustered as the report did


def load(place: str) -> Any:
    """What lies at "module:name"; imports the module. Places come from this file alone."""
    module, _, name = place.partition(":")
    return getattr(import_module(module), name)


@dataclass(frozen=True)
class AutoencoderKind:
    """What is known of a kind of autoencoder before torch is loaded.

    name: `kind` in a manifest. config, network, task: where its `AutoencoderConfig`, its
    `Autoencoder` and the task that trains it are, "module:name". names: pattern of the names of
    its models; its groups are fields of the config. title: a model in words, by its config.
    series: what its points in a plot have in common, "" for the title. sizes: whole numbers of the
    config with their limits. code_shape: of what one stamp is encoded to, by the config; maps: how
    many code maps that is, 0 of latents. prior: the kind of prior over it. needs: what a survey
    must have besides stamps for it to be trained. new: fields of the config that a name does not
    say, of models trained from now on, where they differ from those of older bundles.

    compared: whether it stands in the report's comparison of models, so that trends, vocabularies
    and clusterings of all sizes are measured. features: by what the galaxies are clustered.
    prior_rank: orders the models of which one gets a prior by itself, None for none.
    """

    name: str
    config: str
    network: str
    task: str
    names: str
    title: Callable[[Values], str]
    prior: str
    series: Callable[[Values], str] = lambda _: ""
    sizes: Limits = field(default_factory=dict)
    code_shape: Callable[[Values], tuple[int, ...]] = lambda _: ()
    maps: int = 0
    needs: tuple[str, ...] = ()
    new: Values = field(default_factory=dict)
    compared: bool = False
    features: Callable[[Values], tuple[str, ...]] = lambda _: ()
    prior_rank: Callable[[Values], tuple[int, ...] | None] = lambda _: None

    @property
    def encoded(self) -> str:
        """What it encodes to, "codes" or "latents"; in a manifest the field of the file."""
        return CODES if self.maps else LATENTS

    @property
    def has_codebook(self) -> bool:
        """Whether it has one codebook and one map of codes."""
        return self.maps == 1

    @property
    def has_compared_codes(self) -> bool:
        """Whether its map of codes stands in the report's comparison."""
        return self.compared and self.has_codebook

    @property
    def has_psf_layer(self) -> bool:
        """Whether what it draws goes through a PSF."""
        return "psf" in self.needs

    def has_64_features(self, config: Values) -> bool:
        """Whether 64 numbers of a galaxy are clustered, as in the report."""
        return self.compared and prod(self.code_shape(config)) == CLUSTERED_SIDE**2

    def config_of(self, values: Values) -> AutoencoderConfig:
        """The config of a manifest's values; raises KeyError, TypeError or ValueError."""
        config: AutoencoderConfig = load(self.config).from_dict(values)
        return config

    def build(self, config: AutoencoderConfig) -> Autoencoder:
        """An untrained model."""
        network: Autoencoder = load(self.network)(config)
        return network


@dataclass(frozen=True)
class PriorKind:
    """What is known of a kind of prior before torch is loaded.

    name: `kind` in a manifest. config, network, sampler: where its `PriorConfig`, its `Prior` and
    what draws from it are, "module:name". recipes: where its recipes by name are; plan: where
    (name of a recipe, shape of a code map or of latents, number of codes, number of fields) is
    turned into a config and a recipe. title: in words; short: in a word or two. sizes: whole
    numbers of the config with their limits. code_shape: of what is drawn of a galaxy, by the
    config. misfit: says why a config does not draw what a model of a kind and a config encodes to:
    field and reason, None where it does. guided: whether it can be pulled
    towards what is asked for. quick_control: whether the control of its proof is trained, too, with
    the labels of other galaxies; else the prior itself is asked for them. streams: whether it shows
    code maps on the way, row by row or step by step. reversible: whether it can be followed back
    from a galaxy to the noise that it comes of. rank: of several priors of a bundle that of the
    highest draws where none is named. views: what it learns from instead of the codes of eight
    orientations, made of an autoencoder and stamps. over: kinds of autoencoder
    that may have it besides those that name it themselves. card: what the model card
    says of it; shown: the two sizes in the card's table; beside: the figure there that its
    likelihood is to be seen with, and its title.
    """

    name: str
    config: str
    network: str
    sampler: str
    recipes: str
    plan: str
    title: str
    short: str
    sizes: Limits
    code_shape: Callable[[Values], tuple[int, ...]]
    misfit: Callable[[Values, AutoencoderKind, Values], tuple[str, str] | None]
    guided: bool = True
    quick_control: bool = True
    streams: bool = False
    reversible: bool = False
    rank: int = 0
    views: str = ""
    over: tuple[str, ...] = ()
    card: str = ""
    shown: tuple[tuple[str, str], ...] = ()
    beside: tuple[str, str] = ("bits", "bits a code")

    def config_of(self, values: Values) -> PriorConfig:
        """The config of a manifest's values; raises KeyError, TypeError or ValueError."""
        config: PriorConfig = load(self.config).from_dict(values)
        return config

    def build(self, config: PriorConfig) -> Prior:
        """An untrained prior."""
        network: Prior = load(self.network)(config)
        return network

    def sampler_of(self, prior: Prior) -> PriorSampler:
        """What draws from a prior of this kind."""
        sampler: PriorSampler = load(self.sampler)(prior)
        return sampler


def _title_of_map(config: Values) -> str:
    side = config["map_size"]
    return f"{config['num_embeddings']} codes, {config['quantizer']}, {side}×{side} map"


def _title_of_levels(config: Values) -> str:
    fine = config["bottom_size"]
    maps = f"maps of {fine // 2}×{fine // 2} and {fine}×{fine}"
    return f"{config['num_embeddings']} codes, hierarchical, {maps}"


def _square(config: Values) -> tuple[int, ...]:
    return config["map_size"], config["map_size"]


def _both_maps(config: Values) -> tuple[int, ...]:
    """Both maps of a galaxy in one row, the top one first."""
    return (config["bottom_size"] ** 2 + (config["bottom_size"] // 2) ** 2,)


def _features_of_map(config: Values) -> tuple[str, ...]:
    """`rings` where the recommended clustering may stand on them; nothing else of a large map."""
    compared = config["num_embeddings"] in INDEX_SIZES
    rings = ("rings", "aligned") if compared and config["quantizer"] == "modern" else ()
    if config["map_size"] > CLUSTERED_SIDE:
        return rings
    return ("index", "codes", *rings) if compared else ("codes",)


def _rank_of_map(config: Values) -> tuple[int, ...] | None:
    """The largest codebook at 8 x 8, of two of a size the one with the quantizer `modern`."""
    small = config["map_size"] == CLUSTERED_SIDE
    return (1, *_codebook_rank(config)) if small else None


def _rank_with_psf(config: Values) -> tuple[int, ...]:
    """The PSF layer where no map is of 8 x 8."""
    return int(config["map_size"] == CLUSTERED_SIDE), *_codebook_rank(config)


def _codebook_rank(config: Values) -> tuple[int, int]:
    return config["num_embeddings"], int(config["quantizer"] == "modern")


DESIGNS = {  # of the autoencoders without a codebook: in words, in a plot
    "conv": ("ConvAE without dense layers", "ConvAE"),
    "dense": ("ConvAE with dense layers", "dense ConvAE"),
}
_LEVELS = {"num_embeddings": (2, 65536), "embedding_dim": (1, 4096)}
_CODED = {**_LEVELS, "map_size": (1, 1024)}
_MODELS, _TASKS = "galaxy_explorer.models", "galaxy_explorer.models.autoencoder_training"
_NAME = r"k(?P<num_embeddings>\d{{1,5}})-{}-(?P<{side}>\d{{1,4}})x(?P={side})"

# The later a kind stands, the sooner its pattern of names is asked.
AUTOENCODERS: dict[str, AutoencoderKind] = {
    kind.name: kind
    for kind in (
        AutoencoderKind(
            name="vqvae",
            config=f"{_MODELS}.vqvae:VQVAEConfig",
            network=f"{_MODELS}.vqvae:VQVAE",
            task=f"{_TASKS}:VQVAETask",
            names=_NAME.format("(?P<quantizer>[a-z]+)", side="map_size"),
            title=_title_of_map,
            series=lambda config: str(config["quantizer"]),
            sizes=_CODED,
            code_shape=_square,
            maps=1,
            prior="pixelcnn",
            compared=True,
            features=_features_of_map,
            prior_rank=_rank_of_map,
        ),
        AutoencoderKind(
            name="psf-vqvae",
            config=f"{_MODELS}.psf:PSFVQVAEConfig",
            network=f"{_MODELS}.psf:PSFVQVAE",
            task=f"{_TASKS}:PSFVQVAETask",
            names=_NAME.format("psf", side="map_size"),
            title=_title_of_map,
            series=lambda config: str(config["quantizer"]),
            sizes={**_CODED, "psf_size": (3, 1024)},
            code_shape=_square,
            maps=1,
            prior="pixelcnn",
            needs=("truth", "psf"),
            new={"upsampling": "resized"},
            features=lambda _: (CODES,),
            prior_rank=_rank_with_psf,
        ),
        AutoencoderKind(
            name="vqvae2",
            config=f"{_MODELS}.vqvae2:VQVAE2Config",
            network=f"{_MODELS}.vqvae2:VQVAE2",
            task=f"{_TASKS}:VQVAE2Task",
            names=_NAME.format("hierarchical", side="bottom_size"),
            title=_title_of_levels,
            sizes={**_LEVELS, "bottom_size": (2, 1024)},
            code_shape=_both_maps,
            maps=2,
            prior="hierarchical",
        ),
        AutoencoderKind(
            name="convae",
            config=f"{_MODELS}.convae:ConvAEConfig",
            network=f"{_MODELS}.convae:ConvAE",
            task=f"{_TASKS}:ConvAETask",
            names=r"convae-(?P<design>[a-z]+)",
            title=lambda config: DESIGNS[config["design"]][0],
            series=lambda config: DESIGNS[config["design"]][1],
            code_shape=lambda _: (CLUSTERED_SIDE**2,),
            prior="flow",
            compared=True,
            features=lambda _: (LATENTS,),
        ),
    )
}


def kind_of_name(model: str) -> tuple[AutoencoderKind, dict[str, Any]] | None:
    """The kind whose models have such names, and the fields of the config that a name gives.

    None for a name of no kind.
    """
    for kind in reversed(AUTOENCODERS.values()):
        if found := re.fullmatch(kind.names, model):
            fields = found.groupdict()
            return kind, {k: int(v) if v.isdecimal() else v for k, v in fields.items()}
    return None


def _misfit_of_map(
    config: Values, kind: AutoencoderKind, coded: Values, side: str = "map_size"
) -> tuple[str, str] | None:
    del kind
    shape = tuple(config[name] for name in ("height", "width", "num_embeddings"))
    if shape == (coded.get(side), coded.get(side), coded.get("num_embeddings")):
        return None
    return "config", f"{shape} are not the codes of {{model}}"


def _misfit_of_levels(
    config: Values, kind: AutoencoderKind, coded: Values
) -> tuple[str, str] | None:
    return _misfit_of_map(config, kind, coded, "bottom_size")


def _misfit_of_latents(
    config: Values, kind: AutoencoderKind, coded: Values
) -> tuple[str, str] | None:
    del config, coded  # how many latents there are is known when they are read
    return ("kind", "a flow is of a model with latents") if kind.maps else None


_COMMON = {"n_fields": (0, 64), "condition_dim": (1, 4096), "octaves": (0, 32)}
_MAPS = {
    "height": (1, 1024),
    "width": (1, 1024),
    "num_embeddings": (2, 65536),
    "layers": (1, 256),
    "features": (1, 4096),
    "first_kernel": (3, 31),
    "kernel": (1, 31),
    **_COMMON,
}
_TRAINING, _SAMPLER = f"{_MODELS}.prior_training", f"{_MODELS}.sampler"
_PIXELCNN_CARD = "A gated PixelCNN draws code maps, code by code; likelihoods in nats a map."
_FLOW_CARD = """A neural spline flow draws latents. Its likelihoods are of a density over latents,
in nats a galaxy: they may be below 0 and compare only with each other and with a Gaussian of the
same mean and covariance, not with those of code maps or of another model's latents."""

_RECTIFIED_CARD = """A rectified flow draws the vectors of the map before they are quantized, and
the codebook quantizes them at the end. Its likelihoods are bounds of those of code maps, in nats a
map, from above as negative log-likelihoods: the true ones may be smaller."""

DEFAULT_PRIOR = "pixelcnn"  # older bundles, which name no kind, have priors of code maps alone
PRIORS: dict[str, PriorKind] = {
    kind.name: kind
    for kind in (
        PriorKind(
            name="pixelcnn",
            config=f"{_MODELS}.pixelcnn:PixelCNNConfig",
            network=f"{_MODELS}.pixelcnn:PixelCNN",
            sampler=f"{_SAMPLER}:Sampler",
            recipes=f"{_TRAINING}:PRIOR_RECIPES",
            plan=f"{_TRAINING}:prior_plan",
            title="gated PixelCNN over code maps",
            short="PixelCNN",
            sizes=_MAPS,
            code_shape=lambda config: (config["height"], config["width"]),
            misfit=_misfit_of_map,
            streams=True,
            rank=1,
            card=_PIXELCNN_CARD,
            shown=(("layers", "layers"), ("features", "features")),
        ),
        PriorKind(
            name="hierarchical",
            config=f"{_MODELS}.pixelcnn:HierarchicalConfig",
            network=f"{_MODELS}.pixelcnn:HierarchicalPrior",
            sampler=f"{_SAMPLER}:HierarchicalSampler",
            recipes=f"{_TRAINING}:PRIOR_RECIPES",
            plan=f"{_TRAINING}:hierarchical_plan",
            title="gated PixelCNNs over two code maps, the fine one given the coarse one",
            short="two PixelCNNs",
            sizes=_MAPS,
            code_shape=lambda config: (config["height"] * config["width"] * 5 // 4,),
            misfit=_misfit_of_levels,
            card=_PIXELCNN_CARD,
            shown=(("layers", "layers"), ("features", "features")),
        ),
        PriorKind(
            name="flow",
            config=f"{_MODELS}.flow:FlowConfig",
            network=f"{_MODELS}.flow:LatentFlow",
            sampler=f"{_SAMPLER}:FlowSampler",
            recipes=f"{_TRAINING}:FLOW_RECIPES",
            plan=f"{_TRAINING}:flow_plan",
            title="neural spline flow over latents",
            short="flow",
            sizes={
                "latents": (2, 256),
                "transforms": (1, 64),
                "hidden": (1, 4096),
                "bins": (2, 64),
                "bound": (1, 100),
                **_COMMON,
            },
            code_shape=lambda config: (config["latents"],),
            misfit=_misfit_of_latents,
            guided=False,
            card=_FLOW_CARD,
            shown=(("transforms", "splines"), ("hidden", "hidden units")),
            beside=("nll_gaussian", "a Gaussian"),
        ),
        PriorKind(
            name="rectified",
            config=f"{_MODELS}.flow:RectifiedConfig",
            network=f"{_MODELS}.flow:RectifiedFlow",
            sampler=f"{_SAMPLER}:RectifiedSampler",
            recipes=f"{_TRAINING}:RECTIFIED_RECIPES",
            plan=f"{_TRAINING}:rectified_plan",
            title="rectified flow over vectors, quantized at the end",
            short="rectified flow",
            sizes={
                "height": (1, 256),
                "width": (1, 256),
                "num_embeddings": (2, 65536),
                "embedding_dim": (1, 4096),
                "components": (1, 4096),
                "patch": (1, 64),
                "layers": (1, 256),
                "features": (1, 4096),
                "heads": (1, 256),
                "steps": (1, 1000),
                **_COMMON,
            },
            code_shape=lambda config: (config["height"], config["width"]),
            misfit=_misfit_of_map,
            quick_control=False,
            streams=True,
            reversible=True,
            rank=2,
            views=f"{_MODELS}.flow:EncodedViews",
            over=("vqvae",),
            card=_RECTIFIED_CARD,
            shown=(("layers", "layers"), ("features", "features")),
            beside=("bits", "bits a code, at most"),
        ),
    )
}
