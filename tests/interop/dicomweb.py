"""Requests and answers of DICOMweb as the standard has them, made and taken apart by hand."""

from __future__ import annotations

import email.message
from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree

import requests

from tests.integration.server import Server

INVENTORIES = "/dicom-web/inventories"
NATIVE = "{http://dicom.nema.org/PS3.19/models/NativeDICOM}"


def search(server: Server, query: str = "", status: int = 200, **arguments: Any) -> list[dict[str, Any]]:
    """The objects that are found; ``query`` stands in the URL as it is."""
    answer = server.request("GET", f"{INVENTORIES}?{query}", **arguments)
    assert answer.status_code == status, f"{query}: {answer.status_code} {answer.text}"
    return answer.json() if status == 200 else []


def value(found: dict[str, Any], tag: str) -> Any:
    """The first value of an attribute, None if there is none."""
    return found[tag].get("Value", [None])[0]


def uids(found: list[dict[str, Any]]) -> list[str]:
    return [value(entry, "00080018") for entry in found]


def parts(answer: requests.Response, type: str) -> list[tuple[str, bytes]]:
    """Content type and content of each part of a multipart answer."""
    header = email.message.Message()
    header["Content-Type"] = answer.headers["Content-Type"]
    assert header.get_content_type() == "multipart/related" and header.get_param("type") == type
    boundary = str(header.get_param("boundary")).encode()
    head, *inner, tail = answer.content.split(b"--" + boundary)
    assert head == b"" and tail == b"--\r\n"
    result = []
    for part in inner:
        assert part.startswith(b"\r\n") and part.endswith(b"\r\n")
        headers, content = part[2:-2].split(b"\r\n\r\n", 1)
        [kind] = [line[14:] for line in headers.decode().split("\r\n") if line.startswith("Content-Type: ")]
        result.append((kind, content))
    return result


def multipart(*files: bytes, boundary: str = "5b2e8e6b") -> tuple[bytes, dict[str, str]]:
    """A body with several files, and its headers."""
    body = b"".join(b"--%b\r\nContent-Type: application/dicom\r\n\r\n%b\r\n" % (boundary.encode(), file) for file in files)
    headers = {"Content-Type": f'multipart/related; type="application/dicom"; boundary="{boundary}"'}
    return body + b"--%b--\r\n" % boundary.encode(), headers


def xml_values(element: ElementTree.Element) -> list[Any]:
    """What a Native DICOM Model says, in a form that can be compared: text without padding, numbers of seven digits."""
    result: list[Any] = []
    for attribute in element.findall("{*}DicomAttribute"):
        tag, vr = attribute.attrib["tag"], attribute.attrib["vr"]
        if tag == "00080005":
            continue
        told: list[Any] = [tag, vr, attribute.attrib.get("keyword"), attribute.attrib.get("privateCreator")]
        result.append(told + [found for entry in attribute if (found := _value(vr, entry))[1] not in ("", [])])
    return result


def _value(vr: str, entry: ElementTree.Element) -> tuple[str, Any]:
    number, kind = entry.attrib.get("number", ""), _local_name(entry)
    if kind == "Item":
        return f"Item {number}", xml_values(entry)
    if kind == "PersonName":
        groups = [(_local_name(group), [(_local_name(part), part.text) for part in group if part.text]) for group in entry]
        return number, [(name, components) for name, components in groups if components]
    text = (entry.text or "").rstrip(" ")
    if vr in ("FL", "FD", "DS") and text:
        return number, float(f"{float(text):.7g}")
    return number, text


def _local_name(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]


def refusals(found: dict[str, Any], tag: str) -> Iterator[tuple[str, int]]:
    """SOP Instance UID and Failure Reason of each item of a sequence of failures."""
    for item in found.get(tag, {}).get("Value", []):
        yield value(item, "00081155") if "00081155" in item else "", value(item, "00081197")


def stored(answer: dict[str, Any]) -> list[str]:
    """The SOP Instance UIDs of Referenced SOP Sequence."""
    return [value(item, "00081155") for item in answer.get("00081199", {}).get("Value", [])]
