"""What one visitor's labels teach: fitted off the event loop, in words, and as colourings."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import param
from numpy.typing import NDArray

from galaxy_explorer.clustering.features import POOLED
from galaxy_explorer.explorer.assets import Html, render
from galaxy_explorer.explorer.plots.colouring import CLASS, TTYPE, UNCERTAINTY
from galaxy_explorer.labels.probe import (
    REFIT_EVERY,
    Agreement,
    Lessons,
    Probe,
    agreement,
    fit_probe,
    next_rows,
    standardised,
)

if TYPE_CHECKING:
    from galaxy_explorer.bundle.bundle import Bundle
    from galaxy_explorer.explorer.plots.colouring import KeptColourings

OFF_WORDS = "Blind: nothing is learnt from your labels, so that no prediction can lead you."
HARD_WORDS = (
    "A queue that learns asks for the hardest galaxies, so the rest are told better than these."
)
NEVER_WORDS = "A prediction is a view of your labels, never stored as a label."


@cache
def probe_features(bundle: Bundle, key: str) -> NDArray[np.float64]:
    """What a clustering's model knows of each galaxy, (N, P) standardised, once a process.

    Of rings both kinds that the model has, else the clustering's own features.
    """
    own = bundle.clusterings[key]
    kinds = POOLED if own.features in POOLED or own.steering is not None else ()
    found = [
        one.feature_values
        for one in bundle.clusterings.values()
        if one.model == own.model and one.features in kinds and one.steering is None
    ]
    values = standardised(np.concatenate(found or [own.feature_values], axis=1))
    values.setflags(write=False)
    return values


class Learner(param.Parameterized):
    """What was learnt last; `learn` and `order` are slow enough for a thread."""

    allowed = param.Boolean(default=False, doc="Learn in blind sessions as well.")
    shown = param.Boolean(default=False, doc="Show predictions beside the galaxies.")

    def __init__(self, bundle: Bundle, **params: Any) -> None:
        super().__init__(**params)
        self._bundle = bundle
        self.forget()

    def forget(self) -> bool:
        """Know nothing. Whether anything was known."""
        known = getattr(self, "probe", None) is not None
        self.probe: Probe | None = None
        self.fitted = self.given = 0
        self.names: tuple[str, ...] = ()
        self.agreed: list[Agreement] = []
        return known

    def learn(self, key: str, labels: Lessons, *, anew: bool) -> bool:
        """Fit anew where 20 labels were given or taken back since. Whether it was done.

        key: of the clustering whose features are looked at.
        """
        self.given, self.names = len(labels), labels.names
        if not anew and abs(len(labels) - self.fitted) < REFIT_EVERY:
            return False
        features = probe_features(self._bundle, key)
        enough = labels.enough and len(labels) >= REFIT_EVERY
        probe = fit_probe(features, labels) if enough else None
        parts = (labels.first(len(labels) - REFIT_EVERY * i) for i in (1, 0))
        agreed = [agreement(features, part) for part in parts] if enough else []
        self.probe, self.fitted = probe, len(labels)
        self.agreed = [one for one in agreed if one is not None]
        return True

    def order(self, key: str, left: NDArray[np.int64]) -> NDArray[np.int64]:
        """Rows in the order in which to ask for them."""
        return next_rows(probe_features(self._bundle, key), left, self.probe)

    def keep(self, kept: KeptColourings) -> dict[str, str]:
        """Keep what was learnt as colourings; the words of each by its key. Raises OSError."""
        probe = self.probe
        if probe is None:
            return {}
        source = f"learnt from {probe.n} labels"
        unsure = f"Uncertainty of the prediction, {source}"
        classes = f"Predicted class, {source}"
        words = {kept.put(CLASS, probe.classes.astype(float), classes, probe.names): classes}
        if probe.ttype is not None:
            types = f"Predicted T, {source}"
            words[kept.put(TTYPE, probe.ttype, types)] = types
        return {**words, kept.put(UNCERTAINTY, probe.uncertainty, unsure): unsure}

    def html(self, *, learns: bool) -> Html:
        """On how many labels it stands, how far it agrees, and what that gains."""
        if not learns:
            return render("labels.learnt", words=[OFF_WORDS], remarks=[])
        if self.probe is None:
            kinds = " and ".join(self.names) if len(self.names) == 2 else "of two classes"
            start = f"Learning begins at {REFIT_EVERY} labels, some {kinds}: {self.given} so far."
            return render("labels.learnt", words=[start], remarks=[])
        since = self.given - self.probe.n
        words = [f"Stands on {self.probe.n} labels{f' ({since} since)' if since > 0 else ''}"]
        if self.agreed:
            newest = self.agreed[-1]
            words[0] += (
                f"; agrees with {100 * newest.right / newest.n:.0f} % of the last {newest.n} before"
                f" it saw them. The commonest class alone: {100 * newest.common / newest.n:.0f} %."
            )
        if len(self.agreed) > 1:
            before = self.agreed[0].right / self.agreed[0].n
            words.append(
                f"Of the {REFIT_EVERY} before these: {100 * before:.0f} %, so"
                f" {100 * (newest.right / newest.n - before):+.0f} points.".replace("-", "−")
            )
        return render("labels.learnt", words=words, remarks=[HARD_WORDS, NEVER_WORDS])
