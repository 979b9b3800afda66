"""The one adapter to the ``orthanc`` module, which is passed in: nothing else in the package sees it.

It irons out what differs between versions of the Python plugin: how an error is answered, whether an answer can stream.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
import traceback
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from http import HTTPStatus
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import quote

# Orthanc's own names of the errors that our routes answer.
_ERRORS = {
    400: "BAD_REQUEST",
    403: "UNAUTHORIZED",
    404: "UNKNOWN_RESOURCE",
    406: "NOT_ACCEPTABLE",
    409: "BAD_SEQUENCE_OF_CALLS",
    413: "BAD_REQUEST",
    415: "BAD_FILE_FORMAT",
    500: "INTERNAL_ERROR",
    503: "BAD_SEQUENCE_OF_CALLS",
}
# Orthanc's levels of resources.
LEVELS = ("Patient", "Study", "Series", "Instance")
# UnknownResource, InexistentItem
_NOT_FOUND = (17, 7)
# DatabaseUnavailable
_UNAVAILABLE = 36
# What cannot stream is held in memory as a whole, so its size is limited (bytes).
_LARGEST_ANSWER_IN_MEMORY = 256 * 1024 * 1024
# Plugin 5.0 lets go of REST callbacks without Python's lock when Orthanc stops, and crashes if that was the last reference.
_CALLBACKS: list[Callable[..., None]] = []
# Since 3.14 Python looks how much is left of a thread's stack, and raises RecursionError or MemoryError where that is little, as
# in the threads of Orthanc's HTTP server.
_OUTGROWS_STACKS = sys.version_info >= (3, 14)


class HostError(Exception):
    """Orthanc refused or failed an API call. ``code`` is Orthanc's error code."""

    def __init__(self, code: int, description: str) -> None:
        super().__init__(f"Orthanc says: {description} (error {code})")
        self.code = code


class NotFound(HostError):
    """Orthanc does not know the resource, or not any more."""


class DatabaseUnavailable(Exception):
    """Orthanc cannot reach its database now. That tells nothing of a resource, so it is no HostError: ask again later."""


class RestError(Exception):
    """A request that cannot be served: an HTTP status, and one line that says what to do."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class MethodNotAllowed(Exception):
    """The path exists, but not for this method; ``allowed`` are those for which it does."""

    def __init__(self, allowed: list[str]) -> None:
        super().__init__(", ".join(allowed))
        self.allowed = allowed


@dataclass(frozen=True)
class Request:
    """``path`` begins with a slash and is decoded; ``query`` is as it was sent, still percent-encoded."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Answer:
    """A body: JSON made from ``value``, or ``chunks`` of bytes of a content type; ``size`` is their sum, if known before.

    With another ``status`` than 200 the content type is what Orthanc makes it: it knows none for such answers.
    """

    value: Any = None
    chunks: Iterable[bytes | memoryview] | None = None
    size: int = 0
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
    status: int = 200


_decode = json.JSONDecoder().raw_decode


def _json(body: bytes) -> Any:
    """What Orthanc answers, in a third of the time that ``json.loads`` takes for bytes."""
    return _decode(body.decode())[0]


class Host:
    """Orthanc as seen by a plugin.

    Args:
        orthanc: the module that the Python plugin offers to its script.
    """

    def __init__(self, orthanc: Any) -> None:
        self._orthanc = orthanc
        self._get = orthanc.RestApiGet
        self.can_stream: bool = hasattr(orthanc.RestOutput, "StartStreamAnswer")
        self.configuration: Mapping[str, Any] = json.loads(orthanc.GetConfiguration())
        path = Path(orthanc.GetConfigurationPath() or ".").absolute()
        # Since version 5.0 of the Python plugin.
        self.can_load_headers: bool = hasattr(orthanc, "LoadDicomInstance")
        # Where the relative paths of the configuration begin. It may be one file, or a folder of them.
        self.folder_of_configuration: Path = path if path.is_dir() else path.parent

    def get(self, path: str) -> bytes:
        """The body that Orthanc answers to a GET.

        Raises:
            NotFound, HostError
        """
        try:
            return self._get(path)
        except self._orthanc.OrthancException as error:
            raise _translated(error) from None

    def get_json(self, path: str) -> Any:
        return _json(self.get(path))

    def load_header(self, identifier: str) -> Any:
        """The data set of an instance up to its pixel data, in Orthanc's short form, without private and binary values.

        Raises:
            NotFound, HostError
        """
        orthanc = self._orthanc
        try:
            instance = orthanc.LoadDicomInstance(identifier, orthanc.LoadDicomInstanceMode.UNTIL_PIXEL_DATA)
            return json.loads(
                instance.GetInstanceAdvancedJson(orthanc.DicomToJsonFormat.SHORT, orthanc.DicomToJsonFlags.NONE, 0)
            )
        except orthanc.OrthancException as error:
            raise _translated(error) from None

    def post(self, path: str, body: bytes) -> bytes:
        try:
            return self._orthanc.RestApiPost(path, body)
        except self._orthanc.OrthancException as error:
            raise _translated(error) from None

    def post_json(self, path: str, body: Any) -> Any:
        return _json(self.post(path, json.dumps(body).encode()))

    def get_of_plugins(self, path: str) -> Any:
        """What a route of any plugin answers to a GET, as JSON. It must not be one of ours: Python runs one of them at a time."""
        try:
            return _json(self._orthanc.RestApiGetAfterPlugins(path))
        except self._orthanc.OrthancException as error:
            raise _translated(error) from None

    def post_to_plugins(self, path: str, body: Any) -> bytes:
        """The same for a POST of JSON; the body that it answers."""
        try:
            return self._orthanc.RestApiPostAfterPlugins(path, json.dumps(body).encode())
        except self._orthanc.OrthancException as error:
            raise _translated(error) from None

    def put(self, path: str, body: bytes) -> None:
        try:
            self._orthanc.RestApiPut(path, body)
        except self._orthanc.OrthancException as error:
            raise _translated(error) from None

    def delete(self, path: str) -> None:
        try:
            self._orthanc.RestApiDelete(path)
        except self._orthanc.OrthancException as error:
            raise _translated(error) from None

    def log(self, message: str) -> None:
        """A line that an administrator sees with default verbosity. Never holds patient data."""
        self._orthanc.LogWarning(f"Inventory: {message}")

    def log_error(self, message: str) -> None:
        self._orthanc.LogError(f"Inventory: {message}")

    def set_metric(self, name: str, value: float) -> None:
        """A value in ``/tools/metrics-prometheus``."""
        self._orthanc.SetMetricsValue(name, float(value), self._orthanc.MetricsType.DEFAULT)

    def extend_explorer(self, script: str) -> None:
        """Adds JavaScript to Orthanc Explorer 1. It keeps what the last caller of all Python scripts gave."""
        self._orthanc.ExtendOrthancExplorer(script)

    def on_change(
        self,
        started: Callable[[], None],
        stopped: Callable[[], None],
        changed: Callable[[str, str, bool], None],
        other: Callable[..., None] | None,
    ) -> None:
        """Callbacks for start and stop; ``changed`` gets level and ID of what changed, and whether it was deleted.

        ``other`` gets every change, as the user's own script would.
        """
        kinds = self._orthanc.ChangeType
        levels = {getattr(self._orthanc.ResourceType, level.upper()): level for level in LEVELS}
        updates = {kinds.NEW_CHILD_INSTANCE, kinds.UPDATED_METADATA, kinds.UPDATED_ATTACHMENT}

        def change(kind: int, level: int, resource: str) -> None:
            if kind == kinds.ORTHANC_STARTED:
                started()
            elif kind == kinds.ORTHANC_STOPPED:
                stopped()
            elif kind == kinds.DELETED:
                changed(levels[level], resource, True)
            # Orthanc tells the study of each new instance: its series and patient need not be noted.
            elif kind in updates and (kind != kinds.NEW_CHILD_INSTANCE or levels[level] == "Study"):
                changed(levels[level], resource, False)
            if other is not None:
                other(kind, level, resource)

        self._orthanc.RegisterOnChangeCallback(change)

    def register_route(self, pattern: str, serve: Callable[[Request], Answer]) -> None:
        """Serves the paths that match the regular expression. What ``serve`` raises becomes Orthanc's error body."""

        def respond(output: Any, uri: str, **request: Any) -> None:
            method = request["method"]
            try:
                query = request.get("get", {})
                if query and self._decodes_queries:
                    query = {name: quote(value) for name, value in query.items()}
                answer = serve(Request(method, uri, query, request.get("headers", {}), request.get("body", b"")))
                self._answer(output, answer)
            except MethodNotAllowed as error:
                # Orthanc's own answer, without a body: it drops the connection at any other way to say 405.
                output.SendMethodNotAllowed(",".join(error.allowed))
            except RestError as error:
                self._answer_error(output, method, uri, error.status, str(error))
            except DatabaseUnavailable as error:
                self._answer_error(output, method, uri, 503, str(error))
            except Exception as error:  # a defect must not reach the client as a stack trace, with data in it
                self.log_error(f"{method} {pattern}: {describe(error)}")
                self._answer_error(output, method, uri, 500, "internal error; the log of Orthanc has its kind")

        def callback(output: Any, uri: str, **request: Any) -> None:
            thread = Thread(target=respond, args=(output, uri), kwargs=request, name="inventory-route")
            thread.start()
            thread.join()

        _CALLBACKS.append(callback if _OUTGROWS_STACKS else respond)
        self._orthanc.RegisterRestCallback(pattern, _CALLBACKS[-1])

    @cached_property
    def _decodes_queries(self) -> bool:
        """Whether the values of a query are percent-decoded, as they are since 1.13.0: nothing but the version tells."""
        numbers = [int(number) for number in re.findall("[0-9]+", self.get_json("/system")["Version"])]
        return not numbers or numbers >= [1, 13]  # without numbers it is the latest

    def _answer(self, output: Any, answer: Answer) -> None:
        for name, value in answer.headers.items():
            output.SetHttpHeader(name, value)
        if answer.status != 200:
            _send_status(output, answer.status, _joined(answer.chunks or (), answer.size))
        elif answer.chunks is None:
            text = json.dumps(answer.value, indent=2, ensure_ascii=False)
            output.AnswerBuffer(text.encode("utf-8", "replace"), answer.content_type)
        elif self.can_stream:
            output.StartStreamAnswer(answer.content_type)
            for chunk in answer.chunks:
                output.SendStreamChunk(bytes(chunk))
        else:
            output.AnswerBuffer(_joined(answer.chunks, answer.size), answer.content_type)

    def _answer_error(self, output: Any, method: str, uri: str, status: int, message: str) -> None:
        code = getattr(self._orthanc.ErrorCode, _ERRORS[status])
        body = json.dumps(
            {
                "HttpError": HTTPStatus(status).phrase,
                "HttpStatus": status,
                "Message": message,
                "Method": method,
                "OrthancError": self._orthanc.GetErrorDescription(code),
                "OrthancStatus": code,
                "Uri": uri,
                "Details": message,
            },
            indent=2,
        )
        _send_status(output, status, body.encode())


def _send_status(output: Any, status: int, body: bytes) -> None:
    text = body.decode()
    try:
        output.SendHttpStatus(status, text)
    except TypeError:  # plugin 4.0 wants the length as well
        output.SendHttpStatus(status, text, len(body))


def identifier_of(*parts: str) -> str:
    """Orthanc's ID of a resource: the SHA-1 of its identifiers, from the Patient ID on, joined by bars, in groups of eight."""
    digest = hashlib.sha1("|".join(parts).encode(), usedforsecurity=False).hexdigest()
    return "-".join(digest[start : start + 8] for start in range(0, 40, 8))


def _joined(chunks: Iterable[bytes | memoryview], size: int) -> bytes:
    """Raises: RestError, as soon as it is known that the whole, ``size`` bytes if that is not 0, is too large."""
    kept: list[bytes | memoryview] = []
    if size <= _LARGEST_ANSWER_IN_MEMORY:
        size = 0
        for chunk in chunks:
            kept.append(chunk)
            size += len(chunk)
            if size > _LARGEST_ANSWER_IN_MEMORY:
                break
    if size > _LARGEST_ANSWER_IN_MEMORY:
        problem = "the answer is above 256 MB, which this version of Orthanc cannot stream"
        raise RestError(413, f"{problem}: ask for it in parts, or use the command line orthanc-inventory")
    return b"".join(kept)


def describe(error: Exception) -> str:
    """The kind of an error and where it arose: enough to find a defect, without the values that its text may hold."""
    if isinstance(error, (HostError, DatabaseUnavailable)):
        return str(error)
    place = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} in {os.path.basename(place.filename)}, line {place.lineno}"


def _translated(error: Exception) -> HostError | DatabaseUnavailable:
    code, description = error.args
    if code == _UNAVAILABLE:
        return DatabaseUnavailable(f"Orthanc cannot reach its database: {description} (error {code})")
    return (NotFound if code in _NOT_FOUND else HostError)(code, description)
