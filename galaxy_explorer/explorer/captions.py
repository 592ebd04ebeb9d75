"""One galaxy in words and figures: captions, positions, what the catalogue and the model say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from galaxy_explorer.bundle import Bundle, Clustering

TRAINING = "train"


def ttype_words(ttype: float) -> str:
    """A Hubble type: "T 1.5", or "no T"."""
    return "no T" if np.isnan(ttype) else f"T {ttype:g}".replace("-", "−")


def caption(bundle: Bundle, clustering: Clustering, row: int) -> str:
    """One galaxy in a line: id, T, cluster, responsibility."""
    parts = [
        str(bundle.column("galaxy_id")[row]),
        ttype_words(float(bundle.column("ttype")[row])),
        f"cluster {clustering.labels[row]} (probability {clustering.responsibility[row]:.2f})",
    ]
    return " · ".join(parts)


def position_words(ra: float, dec: float) -> str:
    """A position in hours, degrees and minutes of arc, and in degrees; a dash if unknown.

    ra, dec: degrees, ICRS.
    """
    from astropy.coordinates import SkyCoord

    if not (np.isfinite(ra) and np.isfinite(dec)):
        return "–"
    place = SkyCoord(ra, dec, unit="deg")
    right = place.ra.to_string("hourangle", sep=("h ", "m ", "s"), precision=1, pad=True)
    up = place.dec.to_string("deg", sep=("° ", "′ ", "″"), precision=0, pad=True, alwayssign=True)
    return f"RA {right}, Dec {up} ({ra:.4f}°, {dec:+.4f}°)".replace("-", "−")


def error_percentile(bundle: Bundle, model: str, row: int) -> tuple[float, float]:
    """Reconstruction error of a galaxy and its percentile among the training galaxies.

    The error is the mean squared error of a model's reconstruction in stretched units; the
    percentile is the share of training galaxies (of all galaxies if none is marked so) with an
    error at most as large, in per cent.
    """
    errors = bundle.column(f"{model}/error")
    training = errors[bundle.column("split") == TRAINING]
    reference = training if len(training) else errors
    return float(errors[row]), 100.0 * float((reference <= errors[row]).mean())


def typical_order(clustering: Clustering, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Rows of the catalogue, most typical first.

    Within a cluster: by responsibility (to three decimals), then by Mahalanobis distance to the
    cluster's centre, nearest first. Several clusters take turns, so that the most typical galaxy of
    each comes before the second of any.
    """
    labels = clustering.labels[rows]
    rank = np.zeros(len(rows), np.int64)
    for cluster in np.unique(labels):
        here = np.flatnonzero(labels == cluster)
        far = _distance(clustering.mixture, clustering.feature_values[rows[here]], int(cluster))
        sure = clustering.responsibility[rows[here]].round(3)
        rank[here[np.lexsort((far, -sure))]] = np.arange(len(here))
    return np.asarray(rows[np.lexsort((labels, rank))], np.int64)


def _distance(mixture: Any, features: NDArray[Any], cluster: int) -> NDArray[np.float64]:
    """Squared Mahalanobis distance (n,) of features (n, P) to the centre of one component."""
    factor = mixture.precisions_cholesky[cluster]
    offset = features.astype(np.float64) - mixture.means[cluster]
    whitened = offset @ factor if factor.ndim == 2 else offset * factor
    return np.asarray(np.square(whitened).sum(1))


def medoids(clustering: Clustering) -> NDArray[np.int64]:
    """The most central galaxy of each cluster that is not empty, early clusters first."""
    from galaxy_explorer.explorer.plots_types import ordered

    chosen = [cluster.medoid for cluster in ordered(clustering.clusters, "mean T")]
    return np.array([row for row in chosen if row >= 0], np.int64)
