"""The description of all routes for other programs: OpenAPI 3.1, made from the routes themselves."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from ... import __version__
from ...host import Answer, Request
from .router import Keys, Route

_TYPES: Mapping[type, str] = {str: "string", dict: "object", list: "array", bool: "boolean", int: "integer", type(None): "null"}
_QUERY: Mapping[str, tuple[str, dict[str, Any]]] = {
    "expand": ("whole objects instead of their identifiers", {"type": "boolean"}),
    "query": ("text that studies have", {"type": "string"}),
    "since": ("how many entries to leave out at the beginning", {"type": "integer", "minimum": 0}),
    "attributes": ("keywords of what to compare, with commas between", {"type": "string"}),
    "kind": ("entries of one kind only", {"type": "string"}),
    "limit": ("how many entries to answer at most", {"type": "integer", "minimum": 0}),
    "format": ("the form of the answer", {"type": "string"}),
    "level": ("the level of what is told: STUDY, SERIES or INSTANCE", {"type": "string"}),
    "accept": ("the media type of the answer, before what the header Accept says", {"type": "string"}),
    "includefield": ("keywords or tags of further attributes, with commas between, or all", {"type": "string"}),
    "offset": ("how many results to leave out at the beginning", {"type": "integer", "minimum": 0}),
    "fuzzymatching": ("names that are alike match too", {"type": "boolean"}),
    "emptyvaluematching": ("two quotation marks match an empty value", {"type": "boolean"}),
    "multiplevaluematching": ("several values can be asked for, with backslashes between", {"type": "boolean"}),
    "columns": ("keywords of attributes, with commas between", {"type": "string"}),
}
_ERROR = {
    "description": "Refused: 400 wrong value, 403 not allowed, 404 unknown, 406 and 415 media types, "
    "409 not possible now, 413 too large, 503 not ready",
    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
}
_ERROR_SCHEMA = {
    "type": "object",
    "properties": {
        **{name: {"type": "string"} for name in ("HttpError", "Message", "Method", "OrthancError", "Uri", "Details")},
        **{name: {"type": "integer"} for name in ("HttpStatus", "OrthancStatus")},
    },
}


class OpenApiRoutes:
    """``others`` are all routes but the one that this class adds."""

    def __init__(self, others: Sequence[Route]) -> None:
        self._others = others

    def routes(self) -> list[Route]:
        return [Route("GET", "/inventories/openapi.json", self.show, "Description of all routes, OpenAPI 3.1")]

    def show(self, request: Request) -> Answer:
        paths: dict[str, dict[str, Any]] = {}
        for route in [*self._others, *self.routes()]:
            paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
        return Answer(
            {
                "openapi": "3.1.0",
                "info": {"title": "Inventories of Orthanc", "version": __version__},
                "paths": paths,
                "components": {"schemas": {"Error": _ERROR_SCHEMA}},
            }
        )


def _operation(route: Route) -> dict[str, Any]:
    kinds = (route.answers,) if isinstance(route.answers, str) else route.answers
    schemas = {kind: {} if kind == "application/json" else {"type": "string", "format": "binary"} for kind in kinds}
    in_path = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"{(\w+)}", route.path)
    ]
    in_query = [
        {"name": name, "in": "query", "description": _QUERY[name][0], "schema": _QUERY[name][1]} for name in route.parameters
    ]
    operation: dict[str, Any] = {
        "summary": route.summary,
        "parameters": in_path + in_query,
        "responses": {
            "200": {"description": "Success", "content": {kind: {"schema": schemas[kind]} for kind in kinds}},
            "default": _ERROR,
        },
    }
    if route.body is not None:
        operation["requestBody"] = {"content": _body(route.body)}
    return operation


def _body(body: Keys | str | tuple[str, ...]) -> dict[str, Any]:
    if isinstance(body, (str, tuple)):
        kinds = (body,) if isinstance(body, str) else body
        return {kind: {"schema": {"type": "string", "format": "binary"}} for kind in kinds}
    properties = {name: _schema(types if isinstance(types, tuple) else (types,)) for name, types in body.items()}
    return {"application/json": {"schema": {"type": "object", "properties": properties, "additionalProperties": False}}}


def _schema(types: tuple[type, ...]) -> dict[str, Any]:
    return {} if object in types else {"type": [_TYPES[kind] for kind in types]}
