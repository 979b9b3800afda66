"""Data sets as they leave: DICOM JSON, or XML and PS3.10 files as parts of a multipart answer (PS3.18 8.6, 8.7)."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator

from ...dicom.decoder import EncodedDataSet, Place
from ...dicom.json_model import json_pieces
from ...dicom.native_model import xml_pieces
from ...host import Answer
from ..rest.pieces import pieces
from .media_types import DICOM_JSON, DICOM_XML, JSON, MULTIPART, Offer

DataSets = Iterable[tuple[EncodedDataSet, Place]]
Chunks = Iterable[bytes | memoryview]

AS_JSON, AS_PLAIN_JSON = Offer(DICOM_JSON), Offer(JSON)
AS_XML, AS_XML_PARTS = Offer(DICOM_XML), Offer(DICOM_XML, multipart=True)


def answer_data_set(data_set: EncodedDataSet, place: Place, offer: Offer) -> Answer:
    """One data set that is no resource, as what became of a request: JSON of it is an object, and no list."""
    if offer.type == DICOM_XML:
        return answer_data_sets([(data_set, place)], offer, {})
    return Answer(chunks=pieces(json_pieces(data_set, place)), content_type=offer.type)


def answer_data_sets(data_sets: DataSets, offer: Offer, headers: dict[str, str]) -> Answer:
    """Data sets in one of the forms above, which leave while they are read."""
    if offer.type != DICOM_XML:
        return Answer(chunks=pieces(_array(data_sets)), content_type=offer.type, headers=headers)
    documents = (pieces(xml_pieces(data_set, place)) for data_set, place in data_sets)
    if offer.multipart:
        return answer_parts(documents, DICOM_XML, DICOM_XML, 0, headers)
    return Answer(chunks=next(documents), content_type=DICOM_XML, headers=headers)


def answer_parts(parts: Iterable[Chunks], type: str, part_type: str, size: int, headers: dict[str, str]) -> Answer:
    """A multipart answer (RFC 2387); ``size`` is that of all parts, if it is known before."""
    boundary = uuid.uuid4().hex
    content_type = f'{MULTIPART}; type="{type}"; boundary={boundary}'
    return Answer(chunks=_multipart(parts, part_type, boundary), size=size, content_type=content_type, headers=headers)


def _multipart(parts: Iterable[Chunks], part_type: str, boundary: str) -> Iterator[bytes | memoryview]:
    for part in parts:
        yield f"--{boundary}\r\nContent-Type: {part_type}\r\n\r\n".encode()
        yield from part
        yield b"\r\n"
    yield f"--{boundary}--\r\n".encode()


def _array(data_sets: DataSets) -> Iterator[str]:
    opening = "["
    for data_set, place in data_sets:
        yield opening
        yield from json_pieces(data_set, place)
        opening = ",\n"
    yield "]" if opening != "[" else "[]"
