"""Limits on what is read: each with its unit and the reason for it.

They bound time and memory before a decoder sees the data; none of them needs tuning.
"""

from __future__ import annotations

from galaxy_explorer.settings import Setting

MAX_FILE_BYTES = 80 * 2**20
MAX_PIXELS = 16_777_216
MAX_SIDE_PX = 16_384
MAX_PLANES = 16
MAX_HDUS = 64
MAX_HEADER_BLOCKS = 100
MAX_AXES = 6
MAX_BAD_SHARE = 0.2
MAX_FLUX = 1e30
MAX_ID_CHARACTERS = 200

LIMITS = (
    Setting(
        "max_file_bytes",
        MAX_FILE_BYTES,
        "bytes",
        "4096 x 4096 of float32 and a header, also after gzip or bzip2",
    ),
    Setting("max_pixels", MAX_PIXELS, "pixels", "4096 x 4096 in one picture, decoded in 0.3 s"),
    Setting("max_side_px", MAX_SIDE_PX, "pixels", "no stamp is longer; a mosaic is cut instead"),
    Setting("max_planes", MAX_PLANES, "planes", "bands in one picture"),
    Setting("max_hdus", MAX_HDUS, "HDUs", "more are never walked through to find an image"),
    Setting("max_header_blocks", MAX_HEADER_BLOCKS, "2880 bytes", "3,600 cards in one header"),
    Setting("max_axes", MAX_AXES, "axes", "NAXIS of an image; astropy works through every axis"),
    Setting("max_bad_share", str(MAX_BAD_SHARE), "share", "NaN pixels that the sky may replace"),
    Setting("max_flux", str(MAX_FLUX), "flux", "larger values overflow float32 when summed"),
    Setting("max_id_characters", MAX_ID_CHARACTERS, "characters", "a galaxy's name"),
)
