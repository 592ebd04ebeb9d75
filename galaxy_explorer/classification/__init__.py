"""New galaxies against a bundle: code map, clusters, place on the maps, reconstruction error.

Images come as files, or as a survey, cube, zarr array or Parquet file of pictures, however many.
Their table is written as CSV, ECSV, FITS or Parquet, by the file's extension.
"""

from galaxy_explorer.classification.blocks import (
    Classifier,
    Written,
    classify_images,
    classify_to_table,
)
from galaxy_explorer.classification.inputs import expand, open_inputs
from galaxy_explorer.classification.prepared import Prepared, prepare_image
from galaxy_explorer.classification.records import (
    Classification,
    Classifications,
    Membership,
    ModelReading,
    classify_stamps,
)
from galaxy_explorer.classification.written import (
    codes_text,
    make_table,
    table_format,
    write_table,
)

__all__ = [
    "Classification",
    "Classifications",
    "Classifier",
    "Membership",
    "ModelReading",
    "Prepared",
    "Written",
    "classify_images",
    "classify_stamps",
    "classify_to_table",
    "codes_text",
    "expand",
    "make_table",
    "open_inputs",
    "prepare_image",
    "table_format",
    "write_table",
]
