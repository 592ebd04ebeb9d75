"""The words the pages use: for keys of the bundle and columns of the catalogue, for one galaxy
(captions, positions, what catalogue and model say), and for what an evaluation holds.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from galaxy_explorer.models.registry import kind_of_name
from galaxy_explorer.survey.photometry import bands_of
from galaxy_explorer.survey.store import SIMULATED

if TYPE_CHECKING:
    from galaxy_explorer.bundle import Bundle, Clustering
    from galaxy_explorer.bundle.manifest import Manifest
    from galaxy_explorer.classification import Membership
    from galaxy_explorer.clustering.naming import ClusterName


FEATURE_WORDS = {
    "codes": "by code vectors",
    "index": "by index map",
    "latents": "by latents",
    "rings": "by rings of code vectors",
    "aligned": "by aligned features",
}
COLUMN_WORDS = {
    "cluster": "Cluster",
    "ttype": "Hubble type T",
    "ttype_class": "T class",
    "ttype_catalog": "T in the catalogue",
    "ttype_source": "T from",
    "ttype_best_source": "T from",
    "ttype_lo": "T at least",
    "ttype_hi": "T at most",
    "efigi_t": "T by EFIGI",
    "efigi_t_lo": "T by EFIGI, at least",
    "efigi_t_hi": "T by EFIGI, at most",
    "manga_ttype": "T by MaNGA",
    "hubble": "Hubble class",
    "source": "Source",
    "split": "Split",
    "ra": "Right ascension",
    "dec": "Declination",
    "majax_arcmin": "Major axis",
    "minax_arcmin": "Minor axis",
    "posang": "Position angle",
    "bmag": "B magnitude",
    "kmag": "K magnitude",
    "pixscale_arcsec": "Pixel scale of the image",
    "stamp_pixel_scale_arcsec": "Pixel scale of the stamp",
    "measured_radius_px": "Measured radius",
    "valid_share": "Share of valid pixels",
    "frame_wanted": "Frame wanted",
    "ngc_ic": "NGC or IC number",
    "match_by": "Matched by",
    "pixel_corr": "Correlation with its other picture",
    "same_as": "Same galaxy as",
    "class": "Class",
    "class_name": "Class",
    "label": "Number of the class",
    "early_late": "Early or late",
    "galaxy_key": "Key of the galaxy",
    "bulge_to_total": "Bulge to total light",
    "psf_fwhm_arcsec": "FWHM of the PSF",
    "magnitude_f160w": "F160W magnitude",
    "electrons_per_flux": "Photo-electrons per unit of flux",
}
COLUMN_UNITS = {
    "ra": "deg", "dec": "deg", "ttype": "T", "posang": "deg", "bmag": "mag", "kmag": "mag",
    "magnitude": "mag", "magnitude_f160w": "mag", "measured_radius_px": "pixel",
}  # fmt: skip
UNIT_SUFFIXES = {
    "arcsec": "arcsec",
    "arcmin": "arcmin",
    "deg": "deg",
    "mag": "mag",
    "kpc": "kpc",
    "mpc": "Mpc",
    "pix": "pixel",
    "px": "pixel",
    "arcsec2": "mag/arcsec²",
}


def format_model(model: str, config: Mapping[str, Any]) -> str:
    """A model in words: "512 codes, modern, 8×8 map". The key itself if the config is unusual."""
    found = kind_of_name(model)
    with suppress(KeyError):  # a field that such models have is missing
        return model if found is None else found[0].title(config)
    return model


def format_series(model: str, config: Mapping[str, Any]) -> str:
    """What models of several sizes have in common: the quantizer, or the design; else in words."""
    found = kind_of_name(model)
    with suppress(KeyError):
        return (found and found[0].series(config)) or format_model(model, config)
    return format_model(model, config)


def format_clustering(clustering: Clustering, config: Mapping[str, Any]) -> str:
    """A clustering in words: "512 codes, modern, by code vectors"; config: of its model."""
    parts = format_model(clustering.model, config).rsplit(", ", 1)[0]
    return f"{parts}, {format_features(clustering)}"


def format_features(clustering: Clustering) -> str:
    """What a clustering looks at: "by code vectors", "steered by early_late"."""
    if clustering.steering is not None:
        return f"steered by {clustering.steering.name}"
    return FEATURE_WORDS.get(clustering.features, clustering.features)


def format_column(column: str) -> str:
    """A catalogue column in words, without its unit."""
    if column in COLUMN_WORDS:
        return COLUMN_WORDS[column]
    stem = column
    if column_unit(column):
        stem = re.sub(r"_[a-z]+$", "", column)
    return stem.replace("_", " ").strip().capitalize() or column


def column_unit(column: str) -> str:
    """The unit of a catalogue column, from its name; empty if it has none."""
    if column in COLUMN_UNITS:
        return COLUMN_UNITS[column]
    return UNIT_SUFFIXES.get(column.rsplit("_", 1)[-1].lower(), "") if "_" in column else ""


TRAINING = "train"


def format_survey(manifest: Manifest) -> str:
    """The survey that galaxies are of: "sdss in the r band", "sdss in the bands i, r, g".

    The bands are those of the training: of another survey, encoded later, they are not known.
    """
    about, survey = manifest.excerpt, manifest.survey
    if about is not None and about.survey:
        return about.survey
    names = [name for name in bands_of(survey.band) if name]
    if len(names) > 1:
        return f"{survey.name} in the bands {', '.join(names)}"
    return f"{survey.name} in the {names[0]} band" if names else survey.name


def real_mark(bundle: Bundle) -> str:
    """What stands on pictures of the bundle's galaxies beside synthetic ones."""
    sources = set(bundle.column("source").tolist())
    return "SIMULATED" if any(str(one).startswith(SIMULATED) for one in sources) else "REAL"


def format_galaxies(count: int) -> str:
    """A number of galaxies in words."""
    return "1 galaxy" if count == 1 else f"{count:,} galaxies"


def format_ttype(ttype: float) -> str:
    """A Hubble type: "T 1.5", or "no T"."""
    return "no T" if np.isnan(ttype) else f"T {ttype:.1f}".replace("-", "−")


def format_types(ttype: float, error: float) -> str:
    """A T with its error, as stages and as a number: "S0 to Sab, T 0.3 ± 1.6"."""
    from galaxy_explorer.clustering.naming import stage_words

    stages = stage_words(ttype - error, ttype + error)
    return f"{stages}, {format_ttype(round(ttype, 1) + 0.0)} ± {error:.1f}"


def count_types(ttype: NDArray[np.float64]) -> str:
    """Of galaxies with these T (n,), NaN unknown, how many are early: "18 of 24 are early"."""
    from galaxy_explorer.clustering.summary import EARLY_TTYPE

    known = ttype[~np.isnan(ttype)]
    early = int((known <= EARLY_TTYPE).sum())
    of = f"{len(known)}" if len(known) == len(ttype) else f"the {len(known)} with a T"
    if not len(known):
        return f"none of {len(ttype)} has a T"
    count, kind = max((early, "early"), (len(known) - early, "late"))
    return (
        f"all {of.removeprefix('the ')} are {kind}"
        if count == len(known)
        else (f"{count} of {of} are {kind}")
    )


def first_line(
    bundle: Bundle, names: Sequence[ClusterName], member: Membership, rows: NDArray[np.int64],
    ttype: float,
) -> list[str]:  # fmt: skip
    """What a galaxy is, in a few words each: type, cluster, what its look-alikes are.

    names: of the clusters that it may be a member of; rows: the look-alikes, whose T stand in where
    the bundle has no network that reads it. ttype: as that reads it.
    """
    from galaxy_explorer.clustering.summary import MIN_KNOWN

    alike = np.asarray(bundle.column("ttype"), float)[rows]
    known = alike[~np.isnan(alike)]
    parts = []
    if bundle.ttype_regressor is not None and np.isfinite(ttype):
        parts.append(format_types(ttype, bundle.ttype_regressor.real.rms))
    elif len(known) >= MIN_KNOWN:
        parts.append(f"{format_types(known.mean(), known.std(ddof=1))} of its look-alikes")
    name = names[int(np.argmax(member.responsibilities))].name
    return [*parts, f"cluster “{name}”", f"look-alikes: {count_types(alike)}"]


def caption(bundle: Bundle, clustering: Clustering, row: int) -> str:
    """One galaxy in a line: id, T, cluster, responsibility."""
    parts = [
        str(bundle.column("galaxy_id")[row]),
        format_ttype(float(bundle.column("ttype")[row])),
        f"cluster {clustering.labels[row]} (probability {clustering.responsibility[row]:.2f})",
    ]
    return " · ".join(parts)


def describe_galaxy(bundle: Bundle, key: str, row: int) -> dict[str, int | str]:
    """What is told of a galaxy that is pointed at on a clustering's map: row; id, T, cluster.

    The cluster by its number, -1 for none: it may be given another name at any time.
    """
    return {
        "row": row,
        "id": str(bundle.column("galaxy_id")[row]),
        "t": format_ttype(float(bundle.column("ttype")[row])),
        "cluster": int(bundle.clusterings[key].labels[row]),
    }


def format_position(ra: float, dec: float) -> str:
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
    from galaxy_explorer.clustering.summary import ordered

    chosen = [cluster.medoid for cluster in ordered(clustering.clusters, "mean T")]
    return np.array([row for row in chosen if row >= 0], np.int64)


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
    "blur": "Width (FWHM) of the Gaussian that brings originals nearest to reconstructions; noise"
    " that is not drawn counts, too.",
    "fine structure kept": "Scatter of what a Gaussian of 1 pixel smooths away, reconstruction over"
    " original.",
    "light kept": "Light of the galaxy above its sky, reconstruction over original.",
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


def with_models_in_words(bundle: Bundle, text: str) -> str:
    """A text in which the names of models are said in words."""
    told = {*bundle.models, *(one.name for one in bundle.manifest.extra_trainings)}
    for name in sorted(told, key=len, reverse=True):
        text = text.replace(name, format_entry(bundle, name))
    return text


def explanation(figure: str) -> str:
    """What a figure means, in a sentence; empty for one that says so itself."""
    return next((words for name, words in EXPLANATIONS.items() if name in figure), "")


def config_of(bundle: Bundle, model: str) -> Mapping[str, Any]:
    """The configuration of a model, also of one of which only the figures are kept."""
    if model in bundle.models:
        return bundle.models[model].config
    trainings = bundle.manifest.extra_trainings
    return next((one.config for one in trainings if one.name == model), {})


def format_entry(bundle: Bundle, model: str) -> str:
    """A model in words; a baseline by its own name; a dash for none."""
    return format_model(model, config_of(bundle, model)) or "–"
