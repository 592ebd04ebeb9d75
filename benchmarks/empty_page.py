"""The page of the app with nothing in it: `benchmarks.first_minute` serves it."""

import panel as pn

from galaxy_explorer.explorer.app import _page

pn.extension(notifications=True, reconnect=True)
_page(pn.Column(sizing_mode="stretch_both", margin=0)).servable()
