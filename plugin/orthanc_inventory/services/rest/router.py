"""From a request to the function that serves it: routes as data, users, cross-site requests, bodies and parameters."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple
from urllib.parse import unquote_plus, urlsplit

from ...host import Answer, MethodNotAllowed, Request, RestError

_LARGEST_BODY = 1024 * 1024
# Levels of objects and lists in a body. Orthanc's threads have small stacks, which deep nesting would overflow.
_DEEPEST_BODY = 32
# A string that does not end is one too, or else each of its quotes would be tried as the beginning of another.
_STRING = re.compile(r'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
_PARAMETERS = {
    "{uid}": "([0-9.]+)",
    "{other}": "([0-9.]+)",
    "{ID}": "([0-9.]+)",
    "{StudyInstanceUID}": "([0-9.]+)",
    "{Name}": "([A-Za-z0-9._-]+)",
    # Orthanc does not tell "app" from "app/". A browser does, and asks for the files of the page below either.
    "{file}": "(?:app/)?([a-z_]+[.][a-z]+)",
}


# The keys of a body and the types that each may have.
Keys = Mapping[str, type | tuple[type, ...]]


class Route(NamedTuple):
    """``path`` as in the documentation, with its parameters in braces; ``serve`` gets the request and their values.

    The rest tells users of the route: what it does, the ``parameters`` of its query, the keys of its JSON ``body``, or the
    content type, or types, of another one, and the content type, or types, that it ``answers``.
    """

    method: str
    path: str
    serve: Callable[..., Answer]
    summary: str = ""
    parameters: tuple[str, ...] = ()
    body: Keys | str | tuple[str, ...] | None = None
    answers: str | tuple[str, ...] = "application/json"


class Router:
    """Finds the route of a request, after the checks that all routes share.

    Args:
        users: the names of those who may read and who may manage; an empty list is everyone.
    """

    def __init__(self, routes: list[Route], users: Mapping[str, list[str]]) -> None:
        self.routes = routes
        self._users = users
        self._patterns = [(re.compile(_expression(route.path)), route) for route in routes]

    def serve(self, request: Request) -> Answer:
        """Raises: RestError, MethodNotAllowed."""
        self._check_user(request)
        if request.method != "GET":
            _check_same_site(request)
        path = request.path.rstrip("/")
        matches = [(match, route) for pattern, route in self._patterns if (match := pattern.fullmatch(path))]
        for match, route in matches:
            if route.method == request.method:
                return route.serve(request, *match.groups())
        if matches:
            raise MethodNotAllowed(sorted({route.method for _, route in matches}))
        raise RestError(404, "there is no such route; the README lists them all")

    def _check_user(self, request: Request) -> None:
        role = "Read" if request.method == "GET" else "Manage"
        allowed = self._users[role]
        if allowed and user_of(request) not in allowed:
            raise RestError(403, f"this user is not among Inventory.Users.{role}")


def _expression(path: str) -> str:
    return re.sub(r"{\w+}|[^{]+", lambda part: _PARAMETERS.get(part[0]) or re.escape(part[0]), path)


def user_of(request: Request) -> str:
    """The name of the user whom Orthanc let in by HTTP Basic authentication; empty if there is none."""
    scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return ""
    try:
        return base64.b64decode(credentials, validate=True).decode().partition(":")[0]
    except (binascii.Error, UnicodeDecodeError):
        return ""


def _check_same_site(request: Request) -> None:
    """A browser sends credentials along with what a foreign page makes it ask: such requests are refused.

    Orthanc takes ``GET ...?_method=delete`` for a DELETE, which needs no more than an image or a link. Of a GET a browser
    tells no Origin, and over plain HTTP no Sec-Fetch-Site: so one that changes something must tell either.
    """
    headers = request.headers
    origin, site = headers.get("origin"), headers.get("sec-fetch-site")
    is_browser = "accept-language" in headers and headers.get("user-agent", "").startswith("Mozilla/")
    is_ours = _is_at(origin, headers.get("host", "")) if origin is not None else site is not None or not is_browser
    if not is_ours or site not in (None, "same-origin"):
        raise RestError(403, "a request from another site is refused; its Origin must be this server")


def _is_at(origin: str, host: str) -> bool:
    try:
        return urlsplit(origin).netloc == host != ""
    except ValueError:  # brackets that are no IPv6 address
        return False


def json_body(request: Request, allowed: Keys) -> dict[str, Any]:
    """The body as an object with known keys of the right types; an empty body is an empty object.

    Raises:
        RestError: 400, naming the key and what is allowed.
    """
    if not request.body.strip():
        return {}
    if len(request.body) > _LARGEST_BODY:
        raise RestError(413, f"the body is larger than {_LARGEST_BODY} bytes")
    try:
        text = request.body.decode()
        _check_depth(text)
        body = json.loads(text, parse_constant=_refuse_constant)
    except ValueError:
        raise RestError(400, "the body must be JSON in UTF-8") from None
    if not isinstance(body, dict):
        raise RestError(400, f"the body must be a JSON object; allowed keys: {', '.join(allowed)}")
    for key, value in body.items():
        if key not in allowed:
            shown = key if re.fullmatch(r"[A-Za-z]{1,64}", key) else "a key"
            raise RestError(400, f"{shown} is unknown; allowed keys: {', '.join(allowed)}")
        types = allowed[key]
        if not isinstance(value, types) or (isinstance(value, bool) and bool not in _tuple(types) and types is not object):
            raise RestError(400, f"{key} must be {' or '.join(_WORDS[kind] for kind in _tuple(types))}")
    return body


def choice(body: Mapping[str, Any], key: str, allowed: tuple[str, ...], default: str) -> str:
    """A value of a body that must be one of a few.

    Raises:
        RestError: 400
    """
    value = body.get(key, default)
    if value not in allowed:
        raise RestError(400, f"{key} must be one of {', '.join(allowed)}")
    return value


def _check_depth(text: str) -> None:
    depth = 0
    for bracket in re.findall(r"[][{}]", _STRING.sub("", text)):
        depth += 1 if bracket in "[{" else -1
        if depth > _DEEPEST_BODY:
            raise RestError(400, f"the body must be JSON of at most {_DEEPEST_BODY} levels")


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


_WORDS = {str: "text", dict: "an object", bool: "true or false", type(None): "null", object: "anything", int: "an integer"}


def _tuple(types: type | tuple[type, ...]) -> tuple[type, ...]:
    return types if isinstance(types, tuple) else (types,)


def flag(request: Request, name: str) -> bool:
    """A parameter such as ``expand``: it counts when it is there, unless it is ``false`` or ``0``."""
    value = request.query.get(name)
    return value is not None and unquote_plus(value).lower() not in ("false", "0")


def page(request: Request, entries: list[Any]) -> list[Any]:
    """The part of a list that ``since`` and ``limit`` ask for; a limit of 0 is none, as everywhere in Orthanc.

    Raises:
        RestError: 400
    """
    since, limit = (number(request, name) for name in ("since", "limit"))
    return entries[since : since + limit if limit else None]


def number(request: Request, name: str, default: int = 0, lowest: int = 0, highest: int = 999_999_999) -> int:
    """A parameter of the query.

    Raises:
        RestError: 400
    """
    text = unquote_plus(request.query.get(name, str(default)))
    if not re.fullmatch(r"[0-9]{1,9}", text, re.ASCII) or not lowest <= int(text) <= highest:
        raise RestError(400, f"{name} must be an integer from {lowest} to {highest}")
    return int(text)
