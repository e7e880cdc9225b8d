"""Fetching public corpora: whole, or not at all, and a stopped one goes on where it was.

web      opening an address, and what of its trouble may pass
fetch    one file: resumed, retried, measured, checked
unpack   one archive, of which nothing is believed
corpus   the archives of a corpus, several at once, each renamed into its place at the end
"""

from speechkit.download.corpus import Fetched, fetch_corpus
from speechkit.download.web import read_page

__all__ = ["Fetched", "fetch_corpus", "read_page"]
