"""Surveys: simulated, ingested, and looked at before."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from galaxy_explorer.survey.ingest import IngestReport
    from galaxy_explorer.survey.inventory import Inventory
    from galaxy_explorer.survey.stamps import IngestOptions
    from galaxy_explorer.survey.store import Survey


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
    at that scale or finer; without it psfs/egg_hst-f160w.fits where that exists, else an obscured
    aperture. The survey holds, beside stamps and catalogue, the light before blurring, the PSF and
    every parameter. Interrupted, the same call again goes on.

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
    reason. Interrupted, the same call goes on. scheduler: "local" for a worker a core, a number of
    workers, or the address of a dask scheduler; the survey is the same.

    Raises BadCatalog, SurveyError, SettingError, SchedulerError, or BadImage where the source as a
    whole cannot be read.

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
