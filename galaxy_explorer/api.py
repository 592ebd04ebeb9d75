"""What `import galaxy_explorer as ge` offers as functions, and the labels.

Each function takes paths or what was opened already, and options of the names and units that the
command line has; each command calls the function of its name. Progress goes to standard error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal

from galaxy_explorer.errors import BadImage, SettingError
from galaxy_explorer.settings import VERSION

if TYPE_CHECKING:
    from astropy.table import Table

    from galaxy_explorer.bundle.bundle import Bundle
    from galaxy_explorer.classification import Classifications
    from galaxy_explorer.deconvolution.files import Deconvolutions, DeconvolvedImage
    from galaxy_explorer.emulation.samples import Samples
    from galaxy_explorer.labels.groups import Sample
    from galaxy_explorer.labels.imports import ImportPlan
    from galaxy_explorer.labels.log import Event
    from galaxy_explorer.survey.ingest import IngestReport
    from galaxy_explorer.survey.inventory import Inventory
    from galaxy_explorer.survey.stamps import IngestOptions
    from galaxy_explorer.survey.store import Survey

Images = str | Path | Iterable[str | Path]


def simulate_survey(
    out: str | Path,
    *,
    n: int = 12000,
    seed: int = 0,
    like: Literal["sdss", "candels"] = "sdss",
    workers: int = 1,
    psf: str | Path | None = None,
) -> Survey:
    """Make a survey of `n` simulated galaxies with known truth in the folder `out`.

    Same seed, same pixels, whatever the number of workers (processes). like: "sdss", r band, 64 px
    at 0.396 arcsec/px; "candels", F160W, 84 px at 0.06 arcsec/px. psf: FITS image of the F160W PSF
    at that scale; without it psfs/egg_hst-f160w.fits where that exists, else an obscured aperture.
    The survey holds, beside stamps and catalogue, the light before blurring, the PSF and every
    parameter. Interrupted, the same call again goes on.

    Raises SettingError for a value out of range, SurveyError where `out` is taken or the PSF
    unusable.

    >>> import galaxy_explorer as ge
    >>> survey = ge.simulate_survey("surveys/toy", n=12, seed=1)
    >>> survey.stamps([0, 1]).shape, survey.truth([0, 1]).shape
    ((2, 1, 64, 64), (2, 1, 64, 64))
    """
    from galaxy_explorer.survey.simulation.survey import simulate_survey as simulate
    from galaxy_explorer.survey.telescopes import default_psf

    psf_file = default_psf(like) if psf is None else Path(psf)
    return simulate(out, like=like, n=n, seed=seed, workers=workers, psf_file=psf_file)


def ingest(  # noqa: PLR0913 - the options of the command
    source: str | Path,
    catalog: str | Path,
    out: str | Path,
    *,
    name: str | None = None,
    source_name: str | None = None,
    append: bool = False,
    table: str | None = None,
    by_row: bool = False,
    id: str | None = None,  # noqa: A002 - the name of the option
    image: str | None = None,
    ttype: str | None = None,
    same_as: str | None = None,
    ra: str | None = None,
    dec: str | None = None,
    columns: Mapping[str, str] | None = None,
    words: Mapping[str, str] | None = None,
    undefined: float | None = None,
    ttype_error: float | None = None,
    no_ttype: float | None = None,
    rendering: str | None = None,
    repeats: str | Path | None = None,
    band: str = "g",
    band_name: str | None = None,
    size: int = 64,
    stretch: Literal["auto", "linear", "arcsinh"] = "auto",
    frame: Literal["whole", "centre", "auto", "measured"] = "whole",
    cutout_arcsec: float | None = None,
    pixel_scale: float | None = None,
    hdu: int | None = None,
    scheduler: str | None = None,
) -> IngestReport:
    """Make the survey `out` from pictures and a catalogue, or with `append` add to it.

    source: folder or zip of FITS, JPEG, PNG, WebP or TIFF stamps; cube (.npz, .npy, .h5); Parquet
    with a column of pictures; FITS mosaic with WCS. catalog: text of any separator, ECSV, FITS
    table, VOTable or Parquet; table: name or number of the one to take where it holds several.
    by_row: stamp i of a cube is row i of the catalogue; else ids match them. id, image, ttype (T or
    Hubble types), same_as (the id of a row or, in another source, SOURCE:ID that shows the same
    galaxy: both come to one side of the split), ra, dec: columns of the catalogue, guessed from
    usual names where not given, "none" for no column; positions in the unit that the file states,
    else in deg or hh:mm:ss. What was decided in reading is in `report.notes`. band: a band by its
    name in the header, r, g, b or rgb of a colour picture, the number of a plane from 0, or several
    with commas. hdu: FITS extension, else the one that is the picture by name and kind. size: side
    of a stamp in px. columns: further columns of the survey by columns of the catalogue; words:
    columns with the same text in every row. undefined: the number that means "unknown" in columns
    of numbers but T's. ttype_error: of T (stages) where the columns ttype_lo and ttype_hi do not
    enclose it. rendering: who made the pictures, else the source. repeats: a survey of pictures as
    those of the source, of galaxies that `out` holds (its column same_as): from the pairs is learnt
    how the source would look among those of `out`, and it is made so. frame: "whole" resamples the
    picture, "centre" cuts `size` px, "auto" takes 1.25 of the galaxy's extent, "measured" 1.05 of
    the radius where a ring is half as bright as the mean within. cutout_arcsec: side to cut first.
    pixel_scale: arcsec/px where headers are silent. Of FITS north is up where the WCS says so, else
    rows go upwards. A row whose picture cannot be used is in the table `report.rejects` with the
    reason. Interrupted, the same call goes on. scheduler: as `galaxy-explorer ingest` takes it.

    Raises BadCatalog, SurveyError, SettingError, SchedulerError, or BadImage for the whole source.

    >>> import galaxy_explorer as ge
    >>> report = ge.ingest("stamps", "galaxies.csv", "surveys/mine", image="file", ttype="T")
    >>> report.accepted, report.rejected, report.survey.stamps().shape
    (12, 0, (12, 1, 64, 64))
    """
    from galaxy_explorer.survey.ingest import ingest_survey

    options = _ingest_options(
        name=name,
        source_name=source_name,
        append=append,
        rendering=rendering,
        repeats=None if repeats is None else str(repeats),
        id=id,
        image=image,
        ttype=ttype,
        same_as=same_as,
        ra=ra,
        dec=dec,
        columns=columns,
        words=words,
        undefined=undefined,
        ttype_error=ttype_error,
        no_ttype=no_ttype,
        band=band,
        band_name=band_name,
        size=size,
        stretch=stretch,
        frame=frame,
        cutout_arcsec=cutout_arcsec,
        pixel_scale=pixel_scale,
        hdu=hdu,
        table=table,
        by_row=by_row,
    )
    return ingest_survey(Path(source), Path(catalog), Path(out), options, scheduler=scheduler)


def check(
    source: str | Path,
    catalog: str | Path | None = None,
    *,
    all: bool = False,  # noqa: A002 - the name of the option
    sheet: str | Path | None = None,
    **reading: Any,
) -> Inventory:
    """Look at what `ingest` would take of a source, and how, before anything is made of it.

    source, catalog and `reading`: as `ingest` takes them (id, image, ttype, ra, dec, table, by_row,
    columns, band, hdu, size, frame, ...). Without a catalogue: the pictures of a folder, zip or
    cube, one picture, a mosaic, or a table alone. Every row is looked up, 200 pictures are
    examined; all: all of them. sheet: PNG to draw, up to 64 stamps as a model sees them. Nothing
    else is written. `lines()` tells the account in words, `to_dict()` in figures.

    Raises BadCatalog, SurveyError, SettingError, or BadImage where the source as a whole cannot be
    read.

    >>> import galaxy_explorer as ge
    >>> found = ge.check("stamps", "galaxies.csv", image="file", ttype="T")
    >>> found
    <Inventory of stamps: 12 of 12 rows would be taken>
    """
    from galaxy_explorer.survey.check import check_source, draw_sheet, sheet_path

    drawn = None if sheet is None else sheet_path(sheet)
    options, table = _ingest_options(**reading), None if catalog is None else Path(catalog)
    found = check_source(Path(source), table, options, every=all)
    if drawn is not None:
        draw_sheet(found, drawn)
    return found


def _ingest_options(*, pixel_scale: float | None = None, **options: Any) -> IngestOptions:
    """Options by the names of the command line, as the survey's reader takes them."""
    from galaxy_explorer.survey.columns import FurtherColumns
    from galaxy_explorer.survey.stamps import IngestOptions

    renamed, words = (options.pop(name, None) or {} for name in ("columns", "words"))
    numbers = (options.pop(name, None) for name in ("undefined", "ttype_error", "no_ttype"))
    further = FurtherColumns(renamed, words, *numbers)
    roles = {"galaxy_id": "id"} | {n: n for n in ("image", "ttype", "same_as", "ra", "dec")}
    columns = {role: options.pop(name, None) for role, name in roles.items()}
    return IngestOptions(
        columns=columns, further=further, pixel_scale_arcsec=pixel_scale, **options
    )


def train(  # noqa: PLR0913 (every choice has a default)
    survey: Survey | str | Path,
    out: str | Path,
    recipe: str = "quick",
    *,
    models: Sequence[str] | None = None,
    seed: int = 0,
    seeds: int = 1,
    name: str | None = None,
    aligned_with: Sequence[str | Path] = (),
    announce: Callable[[str], None] | None = None,
) -> Bundle:
    """Make a bundle of a survey: autoencoders, code maps, clusters, maps, prior, model card.

    recipe: "tiny" (a try), "quick" (two CPU cores), "long" (30,000 steps, augmented), "paper"
    (100,000 steps). models: names such as
    "k512-modern-8x8"; else the twelve that show every comparison of the report. seeds: with 2 or
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
    return load_bundle(train_bundle(plan, announce or (lambda _: None)))


def classify(
    bundle: Bundle | str | Path,
    images: Images,
    *,
    frame: str = "auto",
    hdu: int | None = None,
    band: str | None = None,
) -> Classifications:
    """Say what a bundle makes of images: codes, clusters, map positions, how unusual they are.

    images: files (FITS, PNG, JPEG), folders or patterns, one or several; the galaxy in the centre.
    frame: "auto" frames the galaxy by its measured size where the bundle's survey was, else in
    linear FITS, and takes 8-bit pictures whole; "whole" takes all of every image; a number of that
    many central pixels. hdu: FITS extension, else the one that is the picture by name and kind.
    band: as in `ingest`; else the bundle's own where the header names it. An image that cannot be
    used has a row with the reason.

    Raises SettingError for another frame, BundleError for a folder that is no bundle.

    >>> import galaxy_explorer as ge
    >>> found = ge.classify("trained/toy", "stamps/*.png")
    >>> len(found), found.rejected
    (12, {})
    >>> found.table["file", "k16-modern-8x8/codes/cluster"].colnames
    ['file', 'k16-modern-8x8/codes/cluster']
    >>> found[0].models["k16-modern-8x8"].codes.shape
    (8, 8)
    """
    from galaxy_explorer.classification import Classifications, classify_images
    from galaxy_explorer.utils.progress import progress

    notes: list[str] = []
    opened, files, records = opened_bundle(bundle), _files(images, notes.append), []
    with progress(len(files), "Classifying", unit="images") as advance:
        for record in classify_images(opened, files, frame=frame, hdu=hdu, band=band):
            records.append(record)
            advance(1)
    return Classifications(opened, tuple(records), tuple(notes))


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
) -> Samples:
    """Ask a bundle's prior for `n` galaxies that do not exist; they are drawn when looked at.

    ttype: Hubble stage T, one for all or one each; condition: other fields of the prior by name,
    in the catalogue's unit. Same seed, same galaxies. temperature: 0.1 to 2. guidance: 1 to 5, else
    the bundle's own. model, prior: "rectified" or "pixelcnn" of a model with both, else the flow.
    observe: camera "sdss", "candels-f160w", "euclid-vis" or "hst-f814w"; psf: a FITS image.
    pixel_scale, observed_scale: arcsec of a stamp's and a camera's pixel. magnitude: of each, with
    zero_point. sky_sigma: noise in flux a pixel. psf_layer: draw through the model's PSF layer.

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
    return Samples(Observer(emulator, settings, fields), request)


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
    return deconvolve_images(model, _files(images, said), options, facts)


def opened_bundle(bundle: Bundle | str | Path) -> Bundle:
    """A bundle, opened where it is named by its folder."""
    from galaxy_explorer.bundle.bundle import load_bundle

    return load_bundle(bundle) if isinstance(bundle, str | Path) else bundle


def _files(images: Images, said: Callable[[str], object] = lambda _: None) -> list[Path]:
    from galaxy_explorer.classification import expand

    return expand([images] if isinstance(images, str | Path) else images, said)


def label_sample(bundle: Bundle) -> Sample:
    """The galaxies of a bundle that may be labelled, and all their clusters."""
    from galaxy_explorer.labels.groups import Sample

    ids = tuple(str(galaxy) for galaxy in bundle.column("galaxy_id"))
    return Sample(ids, {key: one.labels for key, one in bundle.clusterings.items()})


class Labels:
    """The labels in a log: who said what of which galaxy; nothing in it is ever overwritten.

    path: of the log, made where it is absent; None: the one that the app writes. bundle: or its
    folder; with it labels of clusters and selections reach their members in the tables, and what is
    imported must be among its galaxies.

    Raises LabelError where the log cannot be used, BundleError for a folder that is no bundle.

    >>> import galaxy_explorer as ge
    >>> labels = ge.Labels("labels.db", "trained/toy")
    >>> event = labels.give("Ada", "galaxy-0007", "T3", confidence="high")
    >>> event = labels.give("Ada", "galaxy-0007", "bar")
    >>> labels.said("galaxy-0007")
    {'Ada': {'stage': 'T3', 'bar': 'bar'}}
    >>> labels.table()["galaxy_id", "annotator", "ttype"].as_array().tolist()
    [('galaxy-0007', 'Ada', 3.0)]
    >>> len(labels.export_table("labels.ecsv", "majority"))
    1
    >>> labels.import_table("labels.ecsv", "Grace", dry_run=True).words()
    '2 new labels, 0 changed, 0 as they are, 0 refused'
    """

    def __init__(
        self, path: str | Path | None = None, bundle: Bundle | str | Path | None = None
    ) -> None:
        from galaxy_explorer.labels.log import Provenance, log_path
        from galaxy_explorer.labels.store import LabelStore
        from galaxy_explorer.settings import read_settings

        self.sample: Sample | None = None
        provenance = Provenance("", "", VERSION)
        if bundle is not None:
            opened = opened_bundle(bundle)
            self.sample = label_sample(opened)
            model = opened.manifest.default_clustering
            provenance = Provenance(opened.hash, model, VERSION)
        self.path = log_path(read_settings().labels) if path is None else Path(path)
        self.store = LabelStore(self.path, provenance)

    def __enter__(self) -> Labels:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        layers = self.store.layers()
        given = sum(len(layer.galaxies()) for layer in layers.values())
        return f"<Labels in {self.path}: {given} galaxies by {len(layers)} annotators>"

    @property
    def annotators(self) -> list[str]:
        """Everyone who has labelled, in alphabetical order."""
        return list(self.store.layers())

    def said(self, galaxy: str) -> dict[str, dict[str, str]]:
        """What annotators have given to one galaxy itself: annotator -> aspect -> label or note."""
        said = {name: layer.galaxies().get(galaxy) for name, layer in self.store.layers().items()}
        return {
            name: {aspect: value.text(aspect) for aspect, value in values.items()}
            for name, values in said.items()
            if values
        }

    def give(
        self, annotator: str, galaxy: str, label: str, *, confidence: str = "", note: str = ""
    ) -> Event:
        """Give a label of the vocabulary, such as "T3" or "bar", to a galaxy.

        confidence: "", "low", "medium" or "high". Returns what was stored. Raises LabelError for
        another label, NotSaved where it could not be written.
        """
        from galaxy_explorer.labels.log import Change

        aspect = self.store.vocabulary().find(label).aspect
        change = Change(galaxy, aspect, label, confidence=confidence, note=note)
        return self.store.record(annotator, [change])[0]

    def table(self, what: str = "labels") -> Table:
        """What everyone says ("labels"), what most say ("majority"), or the log ("events").

        Raises LabelError for another `what`.
        """
        from galaxy_explorer.labels.tables import table

        return table(self.store, what, self.sample)

    def export_table(self, out: str | Path, what: str = "labels") -> Table:
        """Write a table, .ecsv, .csv, .fits, .vot or .parquet, and return it.

        Raises SettingError for another extension, LabelError for another `what`.
        """
        from galaxy_explorer.utils.tables import write_table

        table = self.table(what)
        write_table(table, Path(out))
        return table

    def import_table(
        self,
        file: str | Path,
        annotator: str = "",
        *,
        dry_run: bool = False,
        table: str | None = None,
    ) -> ImportPlan:
        """Put the labels of a table (text, ECSV, FITS, VOTable, Parquet) into the log.

        annotator: whose labels they are, else the table's column annotator says so. dry_run: change
        nothing. table: name or number of the one to take where the file holds several.

        Returns what changed or would change, what was refused, and in `notes` how the table was
        read. Raises LabelError for a table that cannot be read.
        """
        from galaxy_explorer.labels.imports import plan_import, read_rows

        file = Path(file)
        said: list[str] = []
        kind = "".join(file.suffixes[-2:])
        rows = read_rows(file.read_bytes(), kind, str(file), table=table, said=said.append)
        plan = plan_import(self.store, rows, annotator=annotator, sample=self.sample)
        plan.notes[:0] = said
        if not dry_run:
            plan.apply(self.store)
        return plan

    def close(self) -> None:
        """Close the log."""
        self.store.close()
