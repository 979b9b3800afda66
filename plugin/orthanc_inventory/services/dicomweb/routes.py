"""The routes of the service below its root, ``{root}inventories``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ...host import Answer, Request
from ...production.catalogue import Catalogue
from ...production.search import Search
from ..rest.router import Route
from . import retrieve, search, store

# The root of Orthanc's own DICOMweb plugin, and its default.
_SECTION, _ROOT, _DEFAULT_ROOT = "DicomWeb", "Root", "/dicom-web/"


class InvalidRoot(ValueError):
    """One line that says why there can be no service."""


def root_of(configuration: Mapping[str, Any]) -> str:
    """The root of DICOMweb in Orthanc's configuration, with a slash at both ends.

    Raises:
        InvalidRoot
    """
    section = configuration.get(_SECTION, {})
    written = section.get(_ROOT, _DEFAULT_ROOT) if isinstance(section, Mapping) else _DEFAULT_ROOT
    root = f"/{str(written).strip('/')}/"
    if not re.fullmatch(r"(/[A-Za-z0-9._~-]+)+/", root):
        raise InvalidRoot(f"{_SECTION}.{_ROOT} must be a path such as {_DEFAULT_ROOT} for DICOMweb to have inventories")
    return root


class DicomWebRoutes:
    """``base`` is the URI under which users reach the root, empty if it is not known."""

    def __init__(self, root: str, base: str, catalogue: Catalogue, queries: Search, instances: store.InstanceStore) -> None:
        self._path = f"{root}inventories"
        self._service = base or root
        self._catalogue = catalogue
        self._queries = queries
        self._instances = instances

    def routes(self) -> list[Route]:
        one = f"{self._path}/{{uid}}"
        found, retrieved, told = (
            tuple(offer.name for offer in offers) for offers in (search.OFFERS, retrieve.OFFERS, store.OFFERS)
        )
        summary = "DICOMweb: finds inventory instances; attributes, by keyword or tag, are parameters too"
        return [
            Route("GET", self._path, self.search, summary, search.PARAMETERS, answers=found),
            Route("GET", one, self.retrieve, "DICOMweb: one inventory instance", ("accept",), answers=retrieved),
            Route("POST", self._path, self.store, "DICOMweb: stores inventory instances", (), store.BODIES, told),
            Route("POST", one, self.store, "DICOMweb: stores this inventory instance", (), store.BODIES, told),
        ]

    def search(self, request: Request) -> Answer:
        return search.find(self._queries, self._service, request)

    def retrieve(self, request: Request, uid: str) -> Answer:
        return retrieve.retrieve(self._catalogue, request, uid)

    def store(self, request: Request, uid: str = "") -> Answer:
        return self._instances.take(request, uid)
