"""URIs of stored objects: a relative one counts from the nearest Stored Instance Base URI (PS3.3 C.38.1.2.6, P.2.1)."""

from __future__ import annotations

import re
from functools import lru_cache
from urllib.parse import urljoin

# Nearly all URIs of objects: names below the folder of the base. They need not be parsed.
_BELOW = re.compile(r"\./[A-Za-z0-9_-][A-Za-z0-9_.-]*(?:/[A-Za-z0-9_-][A-Za-z0-9_.-]*)*", re.ASCII).fullmatch
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")


def resolve(uri: str, base: str) -> str:
    """The URI merged with its base (RFC 3986 5.2), whatever the scheme; as it is if it is absolute, or there is
    no base, or nothing that could be merged.

    ``base`` is that of the series item, else of the study item, else of the study end points of the inventory. What in
    it follows the last slash is dropped.
    """
    if _BELOW(uri):
        folder = _merged("./", base)
        return folder + uri[2:] if folder != "./" else uri
    return _merged(uri, base)


@lru_cache(maxsize=64)
def _merged(uri: str, base: str) -> str:
    scheme = _SCHEME.match(base)
    if _SCHEME.match(uri) or scheme is None:
        return uri
    try:
        # urljoin merges for the schemes that it knows only.
        merged = urljoin("http:" + base[scheme.end() :], uri)
    except ValueError:  # brackets that are no IPv6 address
        return uri
    return scheme[0] + merged.removeprefix("http:")
