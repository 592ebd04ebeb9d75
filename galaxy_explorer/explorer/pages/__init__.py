"""One page of the app a file or folder; `registry` lists them."""
