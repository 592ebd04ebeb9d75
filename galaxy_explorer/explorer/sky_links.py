"""Addresses where a galaxy can be looked up by its position; nothing here asks them."""

from __future__ import annotations

import math
from urllib.parse import urlencode


def sky_links(ra: float, dec: float) -> dict[str, str]:
    """Name of a service -> its page for a position (degrees, ICRS); empty without a position."""
    if not (math.isfinite(ra) and math.isfinite(dec) and abs(dec) <= 90):
        return {}
    ra %= 360.0
    place = {"ra": f"{ra:.6f}", "dec": f"{dec:.6f}"}
    coordinates = f"{ra:.6f} {dec:+.6f}"
    near = {"in_csys": "Equatorial", "in_equinox": "J2000.0", "search_type": "Near Position Search"}
    ned = {**near, "lon": f"{ra:.6f}d", "lat": f"{dec:.6f}d", "radius": "0.5"}
    return {
        "SDSS": f"https://skyserver.sdss.org/dr18/VisualTools/quickobj?{urlencode(place)}",
        "Legacy Surveys": "https://www.legacysurvey.org/viewer?"
        + urlencode({**place, "layer": "ls-dr10", "zoom": 15}),
        "SIMBAD": "https://simbad.cds.unistra.fr/simbad/sim-coo?"
        + urlencode({"Coord": coordinates, "Radius": "30", "Radius.unit": "arcsec"}),
        "NED": f"https://ned.ipac.caltech.edu/cgi-bin/objsearch?{urlencode(ned)}",
    }
