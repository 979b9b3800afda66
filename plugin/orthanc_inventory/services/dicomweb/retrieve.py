"""Retrieve Non-Patient Instance (PS3.18 12.4): one inventory instance in the representation that the request accepts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import chain

from ...dicom.file_format import CHUNK, DicomFile, read_file, stream_of
from ...dicom.inventory import file_header
from ...dicom.transcoding import encoded_data_set
from ...dicom.uids import DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_LITTLE_ENDIAN
from ...host import Answer, Request, RestError
from ...production.catalogue import Catalogue
from ...stores import InstanceGone
from ...stores.directory import chunks_of
from ..rest.studies import readable
from .media_types import ANY, DICOM, Offer, Selected, select
from .representations import AS_JSON, AS_PLAIN_JSON, AS_XML, AS_XML_PARTS, Chunks, answer_data_sets, answer_parts

# Implicit VR Little Endian is none of DICOMweb (PS3.18 8.7.3).
_TRANSFER_SYNTAXES = (EXPLICIT_VR_LITTLE_ENDIAN, DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN)
_FILE, _FILE_PARTS = Offer(DICOM, False, _TRANSFER_SYNTAXES), Offer(DICOM, True, _TRANSFER_SYNTAXES)
OFFERS = (AS_JSON, _FILE, _FILE_PARTS, AS_XML_PARTS, AS_XML, AS_PLAIN_JSON)


def retrieve(catalogue: Catalogue, request: Request, uid: str) -> Answer:
    """Raises: RestError; 404, 406, or 409 where the instance is damaged."""
    member = catalogue.instance(uid)
    if member is None:
        raise RestError(404, "there is no inventory instance with this SOP Instance UID")
    selected = select(request, OFFERS)
    try:
        stream = catalogue.open(member)
    except InstanceGone:
        raise RestError(404, "this inventory instance was removed from where it was kept") from None
    with readable(), stream:
        file = read_file(stream, uid)
        if selected.offer.type == DICOM:
            return _answer_file(file, selected)
        answer = answer_data_sets([(file.data_set, file.place)], selected.offer, {})
        return replace(answer, chunks=_while_readable(answer.chunks or ()))


def _while_readable(chunks: Chunks) -> Iterator[bytes | memoryview]:
    """Where Orthanc cannot stream, what is broken is found before it answers."""
    with readable():
        yield from chunks


def _answer_file(file: DicomFile, selected: Selected) -> Answer:
    """The file as it is kept, if its transfer syntax may be, else in another one (8.7.8.2)."""
    transfer_syntax = selected.transfer_syntax
    if transfer_syntax == ANY:
        transfer_syntax = file.transfer_syntax if file.transfer_syntax in _TRANSFER_SYNTAXES else EXPLICIT_VR_LITTLE_ENDIAN
    size, chunks = len(file.raw), _slices(file)
    if file.transfer_syntax != transfer_syntax:
        # Complete before the first byte goes out: what is broken could not be told any more.
        header = file_header(file.sop_class_uid, file.sop_instance_uid, transfer_syntax)
        converted = stream_of(chain([header], encoded_data_set(file, transfer_syntax)))
        size = converted.seek(0, 2)
        converted.seek(0)
        chunks = chunks_of(converted)
    part_type = f"{DICOM}; transfer-syntax={transfer_syntax}"
    if selected.offer.multipart:
        return answer_parts([chunks], DICOM, part_type, size, {})
    return Answer(chunks=chunks, size=size, content_type=part_type)


def _slices(file: DicomFile) -> Iterator[bytes]:
    for position in range(0, len(file.raw), CHUNK):
        yield file.raw[position : position + CHUNK]
        file.data_set.release()
