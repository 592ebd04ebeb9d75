"""A whole survey as a bundle sees it: a row of numbers a galaxy, in Parquet."""

from galaxy_explorer.encoding.bundled import write_encoded_bundle
from galaxy_explorer.encoding.run import Encoding, encode_survey

__all__ = ["Encoding", "encode_survey", "write_encoded_bundle"]
