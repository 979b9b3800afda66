"""The page for people, ``/inventories/app/``: static files, read once when the plugin starts."""

from __future__ import annotations

import json
from pathlib import Path

from pydicom.uid import UID_dictionary

from ...host import Answer, Request, RestError
from .router import Route

_FOLDER = Path(__file__).parent.parent / "explorer"
_CONTENT_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_INDEX = "index.html"
# Made from the data dictionary of pydicom, which has the names of new SOP classes before long.
_NAMES = "uid_names.js"
# What a page from elsewhere, or a value from an object that became markup, could do is nothing.
_HEADERS = {
    "Content-Security-Policy":
        "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'; object-src 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    # After an update of the plugin no old module may meet a new one.
    "Cache-Control": "no-cache",
}


class AppRoutes:
    def __init__(self) -> None:
        self._files = {
            path.name: Answer(
                chunks=[path.read_bytes()],
                size=path.stat().st_size,
                content_type=_CONTENT_TYPES[path.suffix],
                headers=_HEADERS,
            )
            for path in _FOLDER.iterdir()
            if path.suffix in _CONTENT_TYPES
        }
        names = f"export default {json.dumps(_names(), separators=(',', ':'))};\n".encode()
        self._files[_NAMES] = Answer(
            chunks=[names], size=len(names), content_type=_CONTENT_TYPES[".js"], headers=_HEADERS
        )

    def routes(self) -> list[Route]:
        html, any_type = "text/html", "application/octet-stream"
        return [
            Route("GET", "/inventories/app", self.show, "The page for people", answers=html),
            Route("GET", "/inventories/app/{file}", self.file, "What the page is made of", answers=any_type),
        ]

    def show(self, request: Request) -> Answer:
        return self._files[_INDEX]

    def file(self, request: Request, name: str) -> Answer:
        if name not in self._files:
            raise RestError(404, "the page has no such file; it begins at /inventories/app/")
        return self._files[name]


def _names() -> dict[str, str]:
    """UIDs of transfer syntaxes and of the SOP classes of stored objects, with their names (PS3.6 Annex A)."""
    return {
        uid: name.partition(":")[0]
        for uid, (name, kind, *_) in UID_dictionary.items()
        if kind == "Transfer Syntax" or (kind == "SOP Class" and "Storage" in name)
    }
