"""A bundle: everything the explorer needs, as numbers in one folder.

`load_bundle(path)` checks every file against the manifest before parsing it, in under two
seconds and without torch, pandas, scikit-learn or panel. Of many galaxies the code maps, latents
and features are mapped, and checked part by part when they are first read. `save_bundle` writes a
folder that is whole or absent. What a bundle holds no pixel of: the survey; `Bundle.decode` gives
the reconstruction of any galaxy from its code map or latents.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from galaxy_explorer.bundle.catalogue import (
    Catalogue,
    column_array,
    open_catalog,
    parse_catalog,
    release_memory,
)
from galaxy_explorer.bundle.clusterings import Clustering, read_clustering
from galaxy_explorer.bundle.emulation import EMULATION, EmulatorEvaluation, parse_emulation
from galaxy_explorer.bundle.evaluation import (
    DECONVOLUTION,
    EVALUATION,
    DeconvolutionMeasures,
    Evaluation,
    parse_evaluation,
)
from galaxy_explorer.bundle.files import (
    CARD,
    CATALOG,
    MANIFEST,
    check_folder,
    read_manifest,
    verified_bytes,
    verify_file,
)
from galaxy_explorer.bundle.json_values import FieldError, build, strict_json
from galaxy_explorer.bundle.manifest import (
    PARTED,
    Manifest,
    ModelEntry,
    PriorEntry,
    RegressorEntry,
    main_prior,
    parse_manifest,
)
from galaxy_explorer.bundle.names import NAMES, read_names
from galaxy_explorer.bundle.networks import (
    check_other_networks,
    open_model,
    open_prior,
    open_regressor,
    read_encoded,
)
from galaxy_explorer.bundle.parts import StoredArray
from galaxy_explorer.clustering.naming import COLUMNS as NAMING_COLUMNS
from galaxy_explorer.clustering.naming import ClusterName, name_clusters
from galaxy_explorer.errors import BundleError
from galaxy_explorer.models.registry import AUTOENCODERS, LATENTS
from galaxy_explorer.utils.scheduler import once_a_process, remember

if TYPE_CHECKING:
    from galaxy_explorer.models.protocols import Autoencoder, Prior
    from galaxy_explorer.models.psf import PSFVQVAE
    from galaxy_explorer.models.ttype_regressor import StoredRegressor


@dataclass(frozen=True, eq=False, repr=False)
class Bundle:
    """A verified bundle. `len(bundle)` is the number of galaxies; all arrays are read-only.

    manifest: what it says of itself. hash: SHA-256 of the manifest, and so of everything. models,
    clusterings: by name and by key. card: the model card, Markdown. evaluation: what
    `galaxy-explorer evaluate` measured, emulation: what `evaluate --emulator` measured of its
    priors; None where it has not been run.
    """

    path: Path
    hash: str
    manifest: Manifest
    clusterings: dict[str, Clustering]
    card: str
    evaluation: Evaluation | None
    emulation: EmulatorEvaluation | None
    catalogue: Catalogue
    _encoded: dict[str, StoredArray]
    _loaded: dict[str, Autoencoder] = field(default_factory=dict)
    _loaded_priors: dict[str, Prior] = field(default_factory=dict)
    _loaded_regressors: list[StoredRegressor] = field(default_factory=list)
    _names: dict[str, tuple[ClusterName, ...]] = field(default_factory=dict)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def __len__(self) -> int:
        return self.manifest.n_galaxies

    def __repr__(self) -> str:
        size = f"{len(self):,} galaxies, {len(self.models)} models"
        return f"Bundle({self.name!r}, {size}, hash {self.hash[:8]}...)"

    @property
    def name(self) -> str:
        """The bundle's name."""
        return self.manifest.name

    @property
    def models(self) -> dict[str, ModelEntry]:
        """Its trained autoencoders by name."""
        return self.manifest.models

    @property
    def priors(self) -> dict[str, PriorEntry]:
        """Its priors, by "<model>/<kind>" of the model whose code maps or latents they draw."""
        return self.manifest.priors

    def prior(self, model: str, kind: str | None = None) -> PriorEntry:
        """A model's prior of a kind, by default of the kind that ranks highest; or KeyError."""
        found = main_prior(p for p in self.priors.values() if p.model == model)
        if kind is not None:
            found = self.priors.get(f"{model}/{kind}")
        if found is None:
            raise KeyError(f"no prior of {model}{f' of kind {kind}' if kind else ''}")
        return found

    @property
    def ttype_regressor(self) -> RegressorEntry | None:
        """What is known of the network that judges samples; None where there is none."""
        return self.manifest.ttype_regressor

    @property
    def column_names(self) -> list[str]:
        """Names of the catalogue's columns."""
        return list(self.catalogue.column_names)

    def column(self, name: str) -> np.ndarray:
        """A catalogue column (N,), read-only. Raises KeyError for an unknown name."""
        return self.catalogue.column(name)

    def cluster_names(self, clustering: str) -> tuple[ClusterName, ...]:
        """What the clusters of a clustering are called, by their number; all different.

        Raises KeyError for an unknown key.
        """
        if clustering not in self._names:
            found = self.clusterings[clustering]
            # Not kept: of many galaxies they take more room than all that pages show.
            stored = {n: self.catalogue.stored(n) for n in NAMING_COLUMNS if n in self.column_names}
            columns = {name: column_array(column) for name, column in stored.items()}
            self._names[clustering] = name_clusters(found.labels, columns, len(found.clusters))
            release_memory()
        return self._names[clustering]

    def codes(self, model: str) -> np.ndarray:
        """Code maps (N, h, w) of a model, unsigned integers.

        Raises KeyError for an unknown name or a model without one code map a galaxy.
        """
        if AUTOENCODERS[self.models[model].kind].maps > 1:
            raise KeyError(f"{model} has two code maps, see encoded")
        return self._of_kind(model, codes=True)

    def latents(self, model: str) -> np.ndarray:
        """Latents (N, 64) float16 of an autoencoder without codes; raises KeyError for others."""
        return self._of_kind(model, codes=False)

    def encoded(self, model: str) -> np.ndarray:
        """What a model encodes the galaxies to. Raises KeyError.

        Code maps (N, h, w), both maps row by row (N, F) of a hierarchical model, or latents (N, D).
        """
        return self._encoded[model].whole()

    def _of_kind(self, model: str, *, codes: bool) -> np.ndarray:
        encoded = self._encoded[model]
        if (encoded.dtype.kind == "u") != codes:
            raise KeyError(f"{model} has {LATENTS if codes else 'code maps'} instead")
        return encoded.whole()

    def load_model(self, name: str) -> Autoencoder:
        """The trained autoencoder, in evaluation mode; loads torch at the first call.

        Raises KeyError for an unknown name, BundleError where the weights do not fit the config.
        """
        with self._lock:
            if name not in self._loaded:
                entry = self.models[name]
                self._verified(entry.weights)
                self._loaded[name] = open_model(entry, self.path / entry.weights)
            return self._loaded[name]

    def load_prior(self, model: str, kind: str | None = None) -> Prior:
        """A prior over the code maps or latents of a model, in evaluation mode; loads torch.

        See `prior`. Raises KeyError where there is none, BundleError where the weights do not fit
        the config.
        """
        entry = self.prior(model, kind)
        with self._lock:
            if entry.key not in self._loaded_priors:
                self._verified(entry.file)
                self._loaded_priors[entry.key] = open_prior(entry, self.path / entry.file)
            return self._loaded_priors[entry.key]

    def load_ttype_regressor(self) -> StoredRegressor:
        """The network that judges T and attributes; loads torch at the first call.

        Raises KeyError where there is none, BundleError where it does not read these stamps.
        """
        with self._lock:
            if not self._loaded_regressors:
                if self.ttype_regressor is None:
                    raise KeyError("no network that reads T")
                entry = self.ttype_regressor
                data, at = self._verified(entry.file), self.path / entry.file
                self._loaded_regressors.append(
                    open_regressor(data, at, self.manifest.survey, entry.attributes)
                )
            return self._loaded_regressors[0]

    def _verified(self, file: str) -> bytes:
        """A file of the bundle, still as the manifest has it."""
        return verified_bytes(self.path / file, self.manifest.files[file])

    def decode(self, model: str, rows: np.ndarray) -> np.ndarray:
        """Reconstruct galaxies from code maps or latents: (n, C, S, S) float32, stretched units."""
        return self.draw(model, self._encoded[model].rows(rows))

    def draw(self, model: str, codes: np.ndarray) -> np.ndarray:
        """What a model draws from any code maps or latents: (n, C, S, S) float32, stretched."""
        from galaxy_explorer.models.inference import decode_codes

        return decode_codes(self.load_model(model), codes)


@dataclass(frozen=True)
class SharedBundle:
    """The bundle that a task is about: its folder, which all workers must see, and its hash."""

    path: str
    sha256: str

    @classmethod
    def of(cls, bundle: Bundle) -> SharedBundle:
        """Tasks in this process take the bundle as it is open."""
        shared = cls(str(bundle.path.resolve()), bundle.hash)
        remember("bundle", shared, bundle)
        return shared

    def opened(self) -> Bundle:
        """The bundle, opened once a process. Raises BundleError for another one in its place."""
        bundle: Bundle = once_a_process("bundle", self, lambda: load_bundle(self.path))
        if bundle.hash != self.sha256:
            raise BundleError(f"{self.path}: a worker finds another bundle; share that folder")
        return bundle


def load_bundle(path: str | Path) -> Bundle:
    """Open a bundle folder: hash every file, then parse it.

    Raises BundleError naming the first file that is missing, extra, truncated, altered, linked,
    or not what the manifest says. Of a bundle of many galaxies (format 3) that is said of the
    contents of code maps, latents, features and columns when they are first used; `verify_bundle`
    looks at all of them.

    >>> import galaxy_explorer as ge
    >>> bundle = ge.load_bundle("trained/toy")
    >>> bundle.codes("k16-modern-8x8").shape, bundle.decode("k16-modern-8x8", [0]).shape
    ((60, 8, 8), (1, 1, 64, 64))
    """
    folder = Path(path)
    values, digest = read_manifest(folder)
    manifest = parse_manifest(values, folder / MANIFEST)
    check_folder(folder, manifest.files)
    parted, at = manifest.format == PARTED, folder / CATALOG
    later = manifest.in_parts | ({CATALOG, NAMES} if parted else set())
    files = manifest.files.items()
    data = {name: verified_bytes(folder / name, e) for name, e in files if name not in later}
    catalogue = (
        open_catalog(at, manifest.files[CATALOG], manifest.n_galaxies)
        if parted
        else parse_catalog(data[CATALOG], at, manifest.n_galaxies)
    )
    encoded = read_encoded(manifest, data, folder)
    check_other_networks(manifest, data, folder, encoded)
    clusterings = {}
    for key, entry in manifest.clusterings.items():
        clusterings[key] = read_clustering(
            key, entry, folder=folder, files=manifest.files, data=data[entry.file],
            catalogue=catalogue, encoded=encoded[entry.model],
        )  # fmt: skip
        if not parted:
            clusterings[key].read()
    evaluation, emulation = None, None
    if EVALUATION in data:
        at = folder / EVALUATION
        evaluation = parse_evaluation(strict_json(data[EVALUATION], at), at)
    if EMULATION in data:
        at = folder / EMULATION
        emulation = parse_emulation(strict_json(data[EMULATION], at), at)
    release_memory()
    return Bundle(
        path=folder,
        hash=digest,
        manifest=manifest,
        clusterings=clusterings,
        card=data[CARD].decode(errors="replace"),
        evaluation=evaluation,
        emulation=emulation,
        catalogue=catalogue,
        _encoded=encoded,
    )


def verify_bundle(path: str | Path) -> Bundle:
    """Open a bundle and check all that is in it, whenever it would be read; returns it open.

    Raises BundleError naming the first file that is not what the manifest says.
    """
    bundle = load_bundle(path)
    for name in bundle.manifest.in_parts:
        verify_file(bundle.path / name, bundle.manifest.files[name])
    if NAMES in bundle.manifest.files:
        read_names(bundle.path / NAMES, bundle.manifest.files[NAMES], len(bundle))
    for name in bundle.models:
        bundle.encoded(name)
    for name in bundle.column_names:
        column_array(bundle.catalogue.stored(name))
    for clustering in bundle.clusterings.values():
        replace(clustering).read()
    return bundle


NO_PSF_MODEL = (
    "train one with galaxy-explorer train SURVEY --out BUNDLE --models k512-psf-21x21, on what"
    " galaxy-explorer simulate --like candels --out SURVEY makes"
)


def psf_model_name(bundle: Bundle) -> str | None:
    """Name of the model with the PSF layer; None where the bundle has none."""
    return next((n for n, e in bundle.models.items() if AUTOENCODERS[e.kind].has_psf_layer), None)


def psf_model(bundle: Bundle) -> PSFVQVAE:
    """The model with the PSF layer; raises BundleError where the bundle has none."""
    name = psf_model_name(bundle)
    if name is None:
        raise BundleError(f"{bundle.path}: no model with the PSF layer; {NO_PSF_MODEL}")
    return cast("PSFVQVAE", bundle.load_model(name))


def read_deconvolution(bundle: Bundle) -> DeconvolutionMeasures | None:
    """What evaluate-deconvolution measured; None where it has not been run on the bundle.

    Raises BundleError where the file is altered or not what the command writes.
    """
    entry = bundle.manifest.files.get(DECONVOLUTION)
    if entry is None:
        return None
    path = bundle.path / DECONVOLUTION
    try:
        return build(strict_json(verified_bytes(path, entry), path), DeconvolutionMeasures)
    except FieldError as error:
        raise BundleError(f"{path}: {error}; run evaluate-deconvolution again") from None


def demo_folder() -> Path:
    """Where the bundle lies that comes with the package."""
    return Path(__file__).resolve().parent.parent / "demo"


def load_demo() -> Bundle:
    """The bundle that comes with the package: some galaxies of the SDSS, with their model.

    An excerpt of `trained/sdss`, for a first look and for examples; it has a prior and so draws
    galaxies. Raises BundleError where the installation is damaged.

    >>> import galaxy_explorer as ge
    >>> ge.load_demo().manifest.excerpt.of
    'sdss'
    """
    return load_bundle(demo_folder())
