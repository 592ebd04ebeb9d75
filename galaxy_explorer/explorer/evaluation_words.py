"""The words for what an evaluation holds: questions, models, features, verdicts."""

from __future__ import annotations

from typing import TYPE_CHECKING

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


def entry_words(bundle: Bundle, model: str) -> str:
    """A model of the bundle in words; a baseline by its own name; a dash for none."""
    if model in bundle.models:
        return model_words(model, bundle.models[model].config)
    return model or "–"
