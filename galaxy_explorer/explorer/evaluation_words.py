"""The words for what an evaluation holds: questions, models, features, verdicts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from galaxy_explorer.explorer.words import model_words

if TYPE_CHECKING:
    from galaxy_explorer.bundle import Bundle

QUESTION_WORDS = {
    "reconstruction": "Does it reconstruct?",
    "vocabulary": "Is the vocabulary used?",
    "agreement": "Do clusters follow the Hubble type?",
    "other columns": "Do they follow something else?",
    "stability": "Are the clusters there at all?",
    "invariance": "Are they about the galaxy?",
    "number of clusters": "How many clusters?",
    "baseline": "What do simple baselines reach?",
    "ceiling": "How well can it be done at all?",
}
NOT_EVALUATED = (
    "This bundle has not been evaluated yet. <code>galaxy-explorer evaluate {path} --survey"
    " SURVEY</code> measures everything that this page shows and writes it into the bundle;"
    " then restart the app."
)


CLUSTERER_WORDS = {
    "gmm": "Gaussian mixture",
    "kmeans": "k-means",
    "ward": "Ward",
    "hdbscan": "HDBSCAN",
    "consensus": "consensus of three",
}
SIGNS = {"eta^2": "η²", "chi^2": "χ²"}
EXPLANATIONS = {
    "NMSE": "Part of the variance of the stamps that the reconstruction misses.",
    "PSNR": "Peak signal-to-noise ratio of the reconstruction.",
    "SSIM": "Structural similarity of reconstruction and original, 1 where they are the same.",
    "kept": "Slope of the statistic against T in reconstructions, over that in originals: 1 keeps"
    " all of it.",
    "perplexity": "Number of codes in use, weighted by how often.",
    "AMI": "Adjusted mutual information of clusters and types: 0 as by chance, 1 everything.",
    "homogeneity": "1 if each cluster holds one type only; many clusters raise it by themselves.",
    "V-measure": "Harmonic mean of homogeneity and completeness.",
    "eta^2": "Share of the variance of T that lies between clusters.",
    "accuracy": "Early or late told by the mean T of the cluster; the threshold is chosen on the"
    " validation galaxies.",
    "bootstrap ARI": "Adjusted Rand index between clusterings of resampled galaxies: 1 if they come"
    " back the same.",
    "Jaccard": "Likeness of a cluster to its best match in resamples; below 0.5 it dissolves.",
    "silhouette": "How much nearer galaxies are to their own cluster than to the next, -1 to 1.",
    "ARI,": "Adjusted Rand index between the clusters of galaxies as they are and so changed: 1 if"
    " nothing moves.",
}


def figure_title(figure: str) -> str:
    """The name of a figure with its Greek letters."""
    for name, sign in SIGNS.items():
        figure = figure.replace(name, sign)
    return figure


def explanation(figure: str) -> str:
    """What a figure means, in a sentence; empty for one that says so itself."""
    return next((words for name, words in EXPLANATIONS.items() if name in figure), "")


def config_of(bundle: Bundle, model: str) -> Mapping[str, Any]:
    """The configuration of a model, also of one of which only the figures are kept."""
    if model in bundle.models:
        return bundle.models[model].config
    trainings = bundle.manifest.get("trainings", [])
    return next((one["config"] for one in trainings if one["name"] == model), {})


def entry_words(bundle: Bundle, model: str) -> str:
    """A model in words; a baseline by its own name; a dash for none."""
    return model_words(model, config_of(bundle, model)) or "–"
