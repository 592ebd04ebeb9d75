"""Bundles: trained, and what they make of images, of surveys, and of nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from galaxy_explorer.api.opened import Images, files_of, opened_bundle
from galaxy_explorer.errors import BadImage, SettingError

if TYPE_CHECKING:
    from galaxy_explorer.bundle.bundle import Bundle
    from galaxy_explorer.classification import Classifications
    from galaxy_explorer.deconvolution.files import Deconvolutions, DeconvolvedImage
    from galaxy_explorer.emulation.samples import Samples
    from galaxy_explorer.encoding import Encoding
    from galaxy_explorer.survey.store import Survey


def train(  # noqa: PLR0913 (every choice has a default)
    survey: Survey | str | Path,
    out: str | Path,
    recipe: str = "quick",
    *,
    models: Sequence[str] | None = None,
    steps: int | None = None,
    seed: int = 0,
    seeds: int = 1,
    name: str | None = None,
    aligned_with: Sequence[str | Path] = (),
    announce: Callable[[str], None] | None = None,
) -> Bundle:
    """Make a bundle of a survey: autoencoders, code maps, clusters, maps, prior, model card.

    recipe: "tiny" (a try), "quick" (two CPU cores), "long" (30,000 steps, augmented), "paper"
    (100,000 steps). models: names such as "k512-modern-8x8"; else the twelve that show every
    comparison of the report. steps: of each autoencoder, in place of the recipe's. seeds: with 2 or
    more the models of the whole study are trained besides. aligned_with: surveys of some of the
    same galaxies by others, whose differences the aligned features then forget. announce: is told
    in words what will be done. Interrupted, the same call goes on, from `<out>.work`.

    Raises TrainingError for an unknown recipe or model or too few galaxies, SurveyError,
    BundleError.

    >>> import galaxy_explorer as ge
    >>> bundle = ge.train("surveys/blobs", "trained/blobs", "tiny", models=["k16-modern-8x8"])
    >>> bundle.codes("k16-modern-8x8").shape[1:]
    (8, 8)
    """
    from galaxy_explorer.bundle.bundle import load_bundle
    from galaxy_explorer.pipeline.train import DEFAULT_MODELS, make_plan, train_bundle

    plan = make_plan(
        Path(survey) if isinstance(survey, str | Path) else survey.path,
        Path(out),
        recipe=recipe,
        models=tuple(models or DEFAULT_MODELS),
        seed=seed,
        seeds=seeds,
        name=name,
        aligned_with=[Path(path) for path in aligned_with],
    )
    if steps is not None:
        plan = plan.with_steps(steps)
    return load_bundle(train_bundle(plan, announce or (lambda _: None)))


def classify(
    bundle: Bundle | str | Path,
    images: Images,
    *,
    frame: str = "auto",
    hdu: int | None = None,
    band: str | None = None,
    model: str | Sequence[str] = (),
    scheduler: str | None = None,
) -> Classifications:
    """Say what a bundle makes of images: codes, clusters, map positions, how unusual they are.

    images: files (FITS, PNG, JPEG), folders or patterns, one or several, the galaxy in the centre;
    or a survey, a cube (.npz, .npy, .h5), a zarr array, a Parquet file of pictures.
    frame: "auto" frames the galaxy by its measured size where the bundle's survey was, else in
    linear FITS, and takes 8-bit pictures whole; "whole" takes all of every image; a number of that
    many central pixels. hdu: FITS extension, else the one that is the picture by name and kind.
    band: as in `ingest`; else the bundle's own where the header names it. model: models by name, or
    single clusterings, or "all"; else all look at up to 1,000 files, and at more or at a survey and
    the like the model that the app shows with the default clustering. scheduler: "local", a number
    of workers or the address of a dask scheduler. An image that cannot be used has a row with the
    reason. All is kept in memory: of a whole survey `encode` makes files.

    Raises SettingError for another frame or model, BundleError for a folder that is no bundle.

    >>> import galaxy_explorer as ge
    >>> found = ge.classify("trained/toy", "stamps/*.png")
    >>> len(found), found.rejected
    (12, {})
    >>> found.table["file", "k16-modern-8x8/codes/cluster"].colnames
    ['file', 'k16-modern-8x8/codes/cluster']
    >>> found[0].models["k16-modern-8x8"].codes.shape
    (8, 8)
    """
    from galaxy_explorer.classification import Classifications, Classifier, open_inputs
    from galaxy_explorer.classification.blocks import classified_blocks

    notes: list[str] = []
    opened = opened_bundle(bundle)
    found = open_inputs([images] if isinstance(images, str | Path) else images, notes.append)
    wanted = [model] if isinstance(model, str) else model
    classifier = Classifier.of(opened, wanted, found, frame=frame, hdu=hdu, band=band)
    blocks = classified_blocks(classifier, found, scheduler=scheduler)
    records = tuple(record for block in blocks for record in block)
    return Classifications(opened, records, tuple(notes), classifier.choice)


def encode(
    bundle: Bundle | str | Path,
    survey: Survey | str | Path,
    out: str | Path,
    *,
    model: str | Sequence[str] = (),
    scheduler: str | None = None,
    layout: Literal["parts", "hats"] = "parts",
    announce: Callable[[str], object] | None = None,
) -> Encoding:
    """What a bundle makes of every galaxy of a survey, as Parquet in the folder `out`.

    Codes, features, cluster with its probability, place on the map, error of the reconstruction,
    distance to the nearest galaxies of the bundle, and how unusual each is, beside the columns of
    the catalogue. model: names of models, each with all its clusterings, or single clusterings, or
    "all"; else the model that the app shows with the default clustering. scheduler: None for this
    process, "local" for all cores, a number of workers, or the address of a dask scheduler whose
    workers see the same folders; in a script it belongs below `if __name__ == "__main__":`.
    layout: "hats" makes a HATS catalogue of it besides, for `lsdb.open_catalog`. announce: is told
    what is being done. Interrupted or killed, the same call again goes on, to the same result.

    Raises SurveyError where the stamps do not fit the bundle, SettingError where `out` holds
    results of others, for an unknown model, a scheduler that does not answer, or galaxies without
    position in a HATS catalogue.

    >>> import galaxy_explorer as ge
    >>> found = ge.encode("trained/toy", "surveys/toy", "encoded/toy", model="k16-modern-8x8")
    >>> len(found), found.table(["k16-modern-8x8/codes"]).num_rows
    (12, 12)
    """
    from galaxy_explorer.encoding import encode_survey
    from galaxy_explorer.survey.store import Survey as Stored

    return encode_survey(
        opened_bundle(bundle),
        Stored.open(survey) if isinstance(survey, str | Path) else survey,
        Path(out),
        models=[model] if isinstance(model, str) else model,
        scheduler=scheduler,
        layout=layout,
        said=announce or (lambda _: None),
    )


def bundle_encoded(
    bundle: Bundle | str | Path, encoding: Encoding | str | Path, out: str | Path, *, name: str = ""
) -> Bundle:
    """A bundle of an encoded survey, to be served, searched and labelled; nothing is trained.

    bundle: the one that encoded it, whose networks, clusters and priors it has; encoding: what
    `encode` returned, or its folder. The galaxies, their codes, clusters and places on the map are
    those of the survey. name: of the bundle; else that of the folder `out`.

    Raises SettingError where another bundle encoded the survey, SurveyError where parts are
    missing, BundleError where `out` is there and no bundle.

    >>> import galaxy_explorer as ge
    >>> found = ge.encode("trained/toy", "surveys/toy", "encoded/served", model="k16-modern-8x8")
    >>> served = ge.bundle_encoded("trained/toy", found, "trained/served")
    >>> len(served), list(served.models)
    (12, ['k16-modern-8x8'])
    """
    from galaxy_explorer.bundle.bundle import load_bundle
    from galaxy_explorer.encoding import Encoding, write_encoded_bundle

    found = encoding if isinstance(encoding, Encoding) else Encoding.open(encoding)
    return load_bundle(write_encoded_bundle(opened_bundle(bundle), found, Path(out), name))


def generate(  # noqa: PLR0913 - the options of the command
    bundle: Bundle | str | Path,
    *,
    n: int = 16,
    seed: int = 0,
    ttype: float | Sequence[float] | None = None,
    condition: Mapping[str, float | Sequence[float]] | None = None,
    temperature: float = 1.0,
    guidance: float | None = None,
    model: str | None = None,
    prior: str | None = None,
    observe: str | None = None,
    psf: str | Path | None = None,
    pixel_scale: float | None = None,
    observed_scale: float | None = None,
    magnitude: float | None = None,
    zero_point: float | None = None,
    sky_sigma: float | None = None,
    psf_layer: bool | None = None,
    scheduler: str | None = None,
) -> Samples:
    """Ask a bundle's prior for `n` galaxies that do not exist; they are drawn when looked at.

    ttype: Hubble stage T, one for all or one each; condition: other fields of the prior by name,
    in the catalogue's unit. Same seed, same galaxies. temperature: 0.1 to 2. guidance: 1 to 5, else
    the bundle's own. model, prior: "rectified" or "pixelcnn" of a model with both, else the flow.
    observe: camera "sdss", "candels-f160w", "euclid-vis" or "hst-f814w"; psf: a FITS image.
    pixel_scale, observed_scale: arcsec of a stamp's and a camera's pixel. magnitude: of each, with
    zero_point. sky_sigma: noise in flux a pixel. psf_layer: draw through the model's PSF layer.
    scheduler: as in `encode`; the galaxies are the same.

    Raises RequestError for what the prior or the camera cannot do, BundleError without a prior.

    >>> import galaxy_explorer as ge
    >>> samples = ge.generate("trained/toy", n=2, ttype=4, seed=1)
    >>> samples.stamps.shape, samples.codes.shape, samples.header["SYNTHETIC"]
    ((2, 1, 64, 64), (2, 8, 8), True)
    >>> samples.catalogue["asked_ttype"].tolist()
    [4.0, 4.0]
    >>> samples.write("samples.fits").exists()
    True
    """
    from galaxy_explorer.emulation.emulator import Emulator
    from galaxy_explorer.emulation.observation import ObservationSettings, Observer
    from galaxy_explorer.emulation.request import Request
    from galaxy_explorer.emulation.samples import Samples

    emulator = Emulator.open(opened_bundle(bundle), model, prior)
    asked = {**({} if ttype is None else {"ttype": ttype}), **(condition or {})}
    fields = {k: tuple(v) if isinstance(v, Sequence) else v for k, v in asked.items()}
    sizes, flux = (pixel_scale, observed_scale), (magnitude, zero_point, sky_sigma)
    settings = ObservationSettings(
        observe, None if psf is None else Path(psf), *sizes, *flux, psf_layer
    )
    request = Request(n, seed, fields, temperature, guidance)
    return Samples(Observer(emulator, settings, fields), request, scheduler)


def deconvolve(
    bundle: Bundle | str | Path,
    images: Images,
    *,
    psf: str | Path | None = None,
    exposure: float | None = None,
    hdu: int | None = None,
    pixel_scale: float | None = None,
    resample: bool = False,
    band: str | None = None,
) -> Deconvolutions:
    """Take the PSF off linear FITS images, by a bundle's model with the PSF layer.

    images: files, folders or patterns, one or several; the galaxy in the centre, at the pixel scale
    of the bundle's survey, or with `resample` at another. psf: FITS image at that scale or finer,
    else the survey's mean PSF. exposure: in s, of images in electrons/s or counts/s, for the photon
    noise of the light; else the header's. hdu: FITS extension, else the one that is the picture.
    pixel_scale: arcsec/px where headers are silent. band: of a cube, by name or number. Each result
    has light, reconvolved image and residual, (S, S) each, in the unit of its image, the reduced
    chi^2, and `notes` of how image and PSF were taken; `rejected` says why others were not used,
    the `notes` of all what was left out of folders.

    Raises BundleError for a bundle without such a model, BadImage for an unusable PSF,
    SettingError for a pixel scale or exposure that is none.

    >>> import galaxy_explorer as ge
    >>> found = ge.deconvolve("trained/hst", "f160w.fits", exposure=5000)
    >>> found[0].light.shape, found[0].chi2 > 0, found.rejected
    ((84, 84), True, {})
    """
    from galaxy_explorer.deconvolution.files import Deconvolutions

    made, rejected, notes = [], {}, list[str]()
    found_one_by_one = each_deconvolved(
        bundle,
        images,
        psf=psf,
        exposure=exposure,
        hdu=hdu,
        pixel_scale=pixel_scale,
        resample=resample,
        band=band,
        said=notes.append,
    )
    for found in found_one_by_one:
        if isinstance(found, BadImage):
            rejected[found.source] = found.reason
        else:
            made.append(found)
    return Deconvolutions(tuple(made), rejected, tuple(notes))


def each_deconvolved(  # noqa: PLR0913 - the options of the command
    bundle: Bundle | str | Path,
    images: Images,
    *,
    psf: str | Path | None = None,
    exposure: float | None = None,
    hdu: int | None = None,
    pixel_scale: float | None = None,
    resample: bool = False,
    band: str | None = None,
    said: Callable[[str], object] = lambda _: None,
) -> Iterator[DeconvolvedImage | BadImage]:
    """As `deconvolve`, one image after the other; for a bad one its error is given.

    said: is told what was left out of the folders that were named, and why.
    """
    from galaxy_explorer.bundle.bundle import psf_model
    from galaxy_explorer.deconvolution.files import DeconvolutionOptions, deconvolve_images
    from galaxy_explorer.survey.scales import read_psf

    for name, value in (("pixel_scale", pixel_scale), ("exposure", exposure)):
        if value is not None and not 0 < value < float("inf"):
            raise SettingError(f"{name} {value}: give more than 0")
    opened = opened_bundle(bundle)
    model = psf_model(opened)
    options = DeconvolutionOptions(
        exposure=exposure,
        hdu=hdu,
        band=band,
        model_scale=opened.manifest.survey.pixel_scale_arcsec,
        pixel_scale=pixel_scale,
        resample=resample,
        psf=None if psf is None else read_psf(Path(psf)),
    )
    facts = {"BUNDLE": opened.name, "BUNDHASH": opened.hash[:16]}
    facts["PSFFILE"] = "mean PSF of the survey" if psf is None else Path(psf).name
    return deconvolve_images(model, files_of(images, said), options, facts)
