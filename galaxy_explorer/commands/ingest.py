"""`galaxy-explorer ingest`, and `galaxy-explorer check`, which reads by the same options."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from inspect import Parameter, Signature, signature
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal

import typer

from galaxy_explorer.commands.common import AsJson, Hdu, Scheduler, end_in_vain, say, say_json

COLUMNS = "Columns of the catalogue (guessed from usual names where not given)"
PIXELS = "Pixels"


Source = Annotated[
    Path,
    typer.Argument(
        help="Folder or .zip of FITS, JPEG, PNG, WebP or TIFF stamps; cube (.npz, .npy, "
        ".h5, .zarr); Cutana's output; Parquet, a folder of it or a HATS catalogue with a column "
        "of pictures; FITS mosaic with WCS, cut at the catalogue's RA and Dec."
    ),
]
Catalog = Annotated[
    Path,
    typer.Option(
        help="Text with any separator, ECSV, FITS table, VOTable (.vot, .xml) or Parquet; .gz too."
    ),
]
TableName = Annotated[
    str | None,
    typer.Option("--table", help="Name or number of the table, where CATALOG holds several."),
]
ByRow = Annotated[
    bool,
    typer.Option("--by-row", help="Stamp i of a cube is row i of CATALOG; else ids match them."),
]
Out = Annotated[Path, typer.Option(help="Folder of the survey.")]
Name = Annotated[str | None, typer.Option(help="Name of the survey; else its folder's.")]
SourceName = Annotated[
    str | None, typer.Option(help="Name of this source in the survey; else the file's.")
]
Append = Annotated[bool, typer.Option("--append", help="Add to the survey that OUT holds already.")]
IdColumn = Annotated[
    str | None, typer.Option("--id", help="Identifier, unique.", rich_help_panel=COLUMNS)
]
ImageColumn = Annotated[
    str | None,
    typer.Option(
        help="File of the picture within SOURCE; without such a column: the id, with any "
        "usual suffix.",
        rich_help_panel=COLUMNS,
    ),
]
TTypeColumn = Annotated[
    str | None,
    typer.Option(
        help="Hubble stage T, -6 to 11, or type (SBbc). 'none': use no column.",
        rich_help_panel=COLUMNS,
    ),
]
SameAsColumn = Annotated[
    str | None,
    typer.Option(
        help="Id of another row that shows the same galaxy, SOURCE:ID of one in another source: "
        "all of them come to one side of the split.",
        rich_help_panel=COLUMNS,
    ),
]
FurtherColumn = Annotated[
    list[str] | None,
    typer.Option(
        "--column",
        help="NAME=COLUMN: a column under another name, such as class=gz2_class5; several times. "
        "All others keep theirs.",
        rich_help_panel=COLUMNS,
    ),
]
Word = Annotated[
    list[str] | None,
    typer.Option(
        help="NAME=TEXT: a column with the same text in every row; several times.",
        rich_help_panel=COLUMNS,
    ),
]
Undefined = Annotated[
    float | None,
    typer.Option(
        help='Number that means "unknown" in columns of numbers, those of T aside.',
        rich_help_panel=COLUMNS,
    ),
]
TTypeError = Annotated[
    float | None,
    typer.Option(
        "--ttype-error",
        min=0,
        help="Error of T (stages) where ttype_lo and ttype_hi are absent or do not enclose it.",
        rich_help_panel=COLUMNS,
    ),
]
NoTType = Annotated[
    float | None,
    typer.Option(
        "--no-ttype",
        help="Value of T that is no stage in this catalogue (11 of EFIGI: dwarf ellipticals).",
        rich_help_panel=COLUMNS,
    ),
]
Rendering = Annotated[
    str | None, typer.Option(help="Who made the pictures of the galaxies; else the source.")
]
Repeats = Annotated[
    Path | None,
    typer.Option(
        help="With --append: a survey of pictures as those of SOURCE, of galaxies that OUT holds"
        " (ingested with --same-as). Colours and tones are learnt from the pairs, and SOURCE is"
        " made to look like OUT."
    ),
]
RaColumn = Annotated[
    str | None,
    typer.Option(
        help="Right ascension: deg, what its unit says, or hh:mm:ss. 'none': use no column.",
        rich_help_panel=COLUMNS,
    ),
]
DecColumn = Annotated[
    str | None,
    typer.Option(
        help="Declination: deg, what its unit says, or dd:mm:ss.", rich_help_panel=COLUMNS
    ),
]
BandChoice = Annotated[
    str,
    typer.Option(
        help="Band by its name in a header (BANDS, BAND0 .., FILTER); else the channel of a colour "
        "picture: r, g, b or rgb; or the number of a plane, from 0; several with commas. "
        "In SDSS gri pictures r is i, [bold]g is r[/bold], b is g.",
        rich_help_panel=PIXELS,
    ),
]
BandName = Annotated[
    str | None,
    typer.Option(help="What that band is called; else the header's.", rich_help_panel=PIXELS),
]
Size = Annotated[
    int,
    typer.Option(help="Side of a stamp (px), 64 or 84 for our models.", rich_help_panel=PIXELS),
]
Stretch = Annotated[
    Literal["auto", "linear", "arcsinh"],
    typer.Option(
        help="What the pixels are. auto: FITS and floating-point numbers are linear flux, "
        "8- and 16-bit pictures arcsinh-stretched.",
        rich_help_panel=PIXELS,
    ),
]
FrameChoice = Annotated[
    Literal["whole", "centre", "auto", "measured"],
    typer.Option(
        help="whole: resample the picture; centre: cut SIZE px without resampling; "
        "auto: 1.25 x the extent of the central galaxy; measured: 1.05 x the radius where a ring "
        "is half as bright as the mean within, for galaxies of several sources on one scale.",
        rich_help_panel=PIXELS,
    ),
]
CutoutArcsec = Annotated[
    float | None,
    typer.Option(help="Side to cut first (arcsec), then resampled.", rich_help_panel=PIXELS),
]
PixelScale = Annotated[
    float | None,
    typer.Option(
        help="Pixel scale of the pictures (arcsec/px) where their headers are silent.",
        rich_help_panel=PIXELS,
    ),
]


READING = {
    "table": (TableName, None),
    "by_row": (ByRow, False),
    "galaxy_id": (IdColumn, None),
    "image": (ImageColumn, None),
    "ttype": (TTypeColumn, None),
    "same_as": (SameAsColumn, None),
    "ra": (RaColumn, None),
    "dec": (DecColumn, None),
    "column": (FurtherColumn, None),
    "word": (Word, None),
    "undefined": (Undefined, None),
    "ttype_error": (TTypeError, None),
    "no_ttype": (NoTType, None),
    "band": (BandChoice, "g"),
    "band_name": (BandName, None),
    "size": (Size, 64),
    "stretch": (Stretch, "auto"),
    "frame": (FrameChoice, "whole"),
    "cutout_arcsec": (CutoutArcsec, None),
    "pixel_scale": (PixelScale, None),
    "hdu": (Hdu, None),
}
"""How a source is read: options that `ingest` and `check` have in common, with their defaults."""


def reads(
    command: Callable[..., None], further: Mapping[str, tuple[Any, Any]] = MappingProxyType({})
) -> Callable[..., None]:
    """Give a command the options of READING, and further ones; it takes them as `**reading`."""
    own = signature(command, eval_str=True).parameters.values()
    parameters = [one for one in own if one.kind is not Parameter.VAR_KEYWORD]
    for name, (annotation, default) in {**further, **READING}.items():
        kind = Parameter.KEYWORD_ONLY
        parameters.append(Parameter(name, kind, default=default, annotation=annotation))
    command.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {one.name: one.annotation for one in parameters}
    return command


def _pairs(option: str, given: list[str] | None) -> dict[str, str]:
    """Names and values of NAME=VALUE; raises a usage error for what is none or comes twice."""
    pairs: dict[str, str] = {}
    for text in given or ():
        name, _, value = (part.strip() for part in text.partition("="))
        if not name or not value or name in pairs:
            raise typer.BadParameter(f"{text!r}: NAME=VALUE, each once", param_hint=option)
        pairs[name] = value
    return pairs


def in_python(reading: dict[str, Any]) -> dict[str, Any]:
    """Options by the names, and of the kinds, that the functions of `api` have.

    Raises a usage error for a NAME=VALUE that is none.
    """
    options = dict(reading)
    options["id"] = options.pop("galaxy_id")
    options["columns"] = _pairs("--column", options.pop("column"))
    options["words"] = _pairs("--word", options.pop("word"))
    return options


@partial(reads, further={"scheduler": (Scheduler, None)})
def ingest(
    source: Source,
    *,
    catalog: Catalog,
    out: Out,
    name: Name = None,
    source_name: SourceName = None,
    append: Append = False,
    rendering: Rendering = None,
    repeats: Repeats = None,
    **reading: Any,
) -> None:
    """Make a survey from pictures and a catalogue.

    A picture that cannot be used is listed in OUT/rejects.csv with the reason; the others go on,
    and where there are none the exit status is 1. `check` shows beforehand what will be taken.
    Interrupt it as you like: the same command resumes, with the same result. T goes to the
    nearest integer and ten classes, -3 to 6; what lies outside goes to the ends, but 11 (dwarf
    ellipticals) has none.

    [bold]Examples[/bold]

    galaxy-explorer ingest sdss_ngc --catalog sdss_ngc/catalog.csv --out surveys/r_band
    --id name --image image --ttype ttype_best --band g --band-name r

    galaxy-explorer ingest gz1/stamps_r_64.npz --catalog gz1/catalog.csv --out surveys/r_band
    --id dr7objid --source-name gz1 --append

    galaxy-explorer ingest gz2_5class --catalog gz2_5class/catalog.csv --out surveys/sdss
    --append --id name --image image --same-as same_as --column class=gz2_class5 --band rgb
    --band-name i,r,g --frame measured

    galaxy-explorer ingest mosaic_f160w.fits --catalog sources.fits --out surveys/goods
    --id NUMBER --ra ALPHA_J2000 --dec DELTA_J2000 --cutout-arcsec 5.04 --size 84

    galaxy-explorer ingest euclid/cutana --catalog euclid/sources.parquet --out surveys/euclid
    --scheduler local
    """
    from galaxy_explorer import api

    report = api.ingest(
        source,
        catalog,
        out,
        name=name,
        source_name=source_name,
        append=append,
        rendering=rendering,
        repeats=repeats,
        **in_python(reading),
    )
    for line in report.inventory.lines():
        say(line)
    say(
        f"{report.catalog_rows} catalogue rows: {report.accepted} accepted, "
        f"{report.rejected} rejected"
        + (f" (reasons in {report.rejects})" if report.rejected else "")
    )
    meta = report.survey.meta
    counts = meta["counts"]
    say(
        f"Survey {out}: {counts['galaxies']} galaxies, {report.inventory.stamps}; "
        f"{counts['with_ttype']} with a T-type; train {counts['train']}, validation "
        f"{counts['validation']}, test {counts['test']}"
    )
    say(f"Orientation: {meta['orientation']}")
    say(f"Fingerprint {meta['fingerprint']}")
    if not report.accepted:
        end_in_vain()


@reads
def check(
    source: Annotated[
        Path,
        typer.Argument(help="As ingest takes it; or one picture, or a table alone."),
    ],
    *,
    catalog: Annotated[
        Path | None,
        typer.Option(help="As ingest takes it; without one the pictures alone are looked at."),
    ] = None,
    sheet: Annotated[
        Path | None,
        typer.Option(help="PNG to draw: up to 64 stamps as a model sees them, with id and T."),
    ] = None,
    every: Annotated[
        bool,
        typer.Option(
            "--all", help="Examine every picture; else 200, and the others are looked up."
        ),
    ] = False,
    as_json: AsJson = False,
    **reading: Any,
) -> None:
    """Look before you ingest: what would be taken, how it would be read, what is left out and why.

    Nothing is written but the contact sheet. It says which HDU, planes and pixels are read, where
    the pixel scale is from, how the picture is put up, which columns are used for what and in which
    unit, and under "Look at" what may have been misread without an error. Give it the options that
    ingest will have. The exit status is 1 where nothing would be taken.

    [bold]Examples[/bold]

    galaxy-explorer check stamps --catalog galaxies.csv --sheet sheet.png

    galaxy-explorer check cubes.npz --catalog galaxies.fits --id objid --all

    galaxy-explorer check galaxy.fits --band r

    galaxy-explorer check galaxies.vot --json
    """
    from galaxy_explorer import api

    found = api.check(source, catalog, sheet=sheet, all=every, **in_python(reading))
    if as_json:
        say_json({**found.to_dict(), "sheet": None if sheet is None else str(sheet)})
    else:
        for line in found.lines():
            say(line)
        if sheet is not None:
            drawn = f"{sheet}: {len(found.sample)} stamps"
            say(drawn if found.sample else "No contact sheet: there is no stamp to draw")
    if not found.anything:
        end_in_vain()
