"""Limits on what is read: each with its unit and the reason for it.

They bound time and memory before a decoder sees the data; none of them needs tuning.
"""

from __future__ import annotations

MAX_FILE_BYTES = 80 * 2**20  # 4096 x 4096 of float32 and a header, also after gzip or bzip2
MAX_PIXELS = 16_777_216  # 4096 x 4096 in one picture, decoded in 0.3 s
MAX_SIDE_PX = 16_384  # no stamp is longer; a mosaic is cut instead
MAX_PLANES = 16  # bands in one picture
MAX_HDUS = 64  # more are never walked through to find an image
MAX_HEADER_BYTES = 4 * 2**20  # in all headers of a file: 52,000 cards; drizzled stacks have 6,000
MAX_AXES = 6  # NAXIS of an image; astropy works through every axis
MAX_BAD_SHARE = 0.35  # of a plane's pixels at most hold no data; neighbours fill them
MAX_FLUX = 1e30  # larger values overflow float32 when summed
MAX_ID_CHARACTERS = 200  # of a galaxy's name
