"""The container engine through Docker's SDK, whose HTTP library is imported here without what guesses the
encoding of web pages: 3 MB, and Docker's is always UTF-8."""

import warnings

from mini8s.util.lean import absent

with absent("chardet", "charset_normalizer"), warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it warns that it will not guess
    import requests  # noqa: F401
