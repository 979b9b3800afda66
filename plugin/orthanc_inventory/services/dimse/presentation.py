"""What A-ASSOCIATE PDUs say and how they are answered (PS3.8 7.1, PS3.7 D.3); pynetdicom reads and writes them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple

from pynetdicom.pdu import A_ASSOCIATE_AC, A_ASSOCIATE_RJ, A_ASSOCIATE_RQ
from pynetdicom.pdu_primitives import (
    A_ASSOCIATE,
    ImplementationClassUIDNotification,
    ImplementationVersionNameNotification,
    MaximumLengthNotification,
    SCP_SCU_RoleSelectionNegotiation,
    SOPClassExtendedNegotiation,
)
from pynetdicom.presentation import PresentationContext

from ...dicom import uids
from .association import Context
from .connection import MAXIMUM_LENGTH, Pdu
from .messages import N_EVENT_REPORT
from .service import TRANSFER_SYNTAXES, Service

APPLICATION_CONTEXT = "1.2.840.10008.3.1.1.1"
# Result of a presentation context (PS3.8 9.3.3.2)
_ACCEPTED, _USER_REJECTION, _NO_SUCH_SYNTAX, _NO_SUCH_TRANSFER_SYNTAX = 0, 1, 3, 4


class Rejection(NamedTuple):
    """Result, source and reason of an A-ASSOCIATE-RJ (PS3.8 9.3.4), and the reason in words."""

    result: int
    source: int
    reason: int
    text: str

    @property
    def encoded(self) -> bytes:
        primitive = A_ASSOCIATE()
        primitive.result, primitive.result_source, primitive.diagnostic = self.result, self.source, self.reason
        pdu = A_ASSOCIATE_RJ()
        pdu.from_primitive(primitive)
        return pdu.encode()


NO_SUCH_APPLICATION_CONTEXT = Rejection(1, 1, 2, "its application context is not that of DICOM")
CALLING_AE_TITLE_NOT_RECOGNIZED = Rejection(1, 1, 3, "nothing is allowed to it: see DicomModalities of Orthanc")
CALLED_AE_TITLE_NOT_RECOGNIZED = Rejection(1, 1, 7, "it called another AE title, see DicomCheckCalledAet of Orthanc")
PROTOCOL_VERSION_NOT_SUPPORTED = Rejection(1, 2, 2, "its protocol version is not 1")
LOCAL_LIMIT_EXCEEDED = Rejection(2, 3, 2, "there are Inventory.Dimse.MaximumAssociations already")


class Negotiated(NamedTuple):
    """``maximum`` is the length of PDUs that the other side takes, 0 for any; ``contexts`` are the accepted ones."""

    maximum: int
    contexts: list[Context]
    extended: Mapping[str, bytes] = {}


def read_request(pdu: Pdu) -> A_ASSOCIATE:
    """Raises: any exception, if the PDU is broken."""
    request = A_ASSOCIATE_RQ()
    request.decode(pdu.encoded)
    return request.to_primitive()


def protocol_version(pdu: Pdu) -> int:
    return int.from_bytes(pdu.content[:2], "big")


def accept(
    request: A_ASSOCIATE, services: Sequence[Service], allows: Callable[[str], bool]
) -> tuple[Negotiated, bytes]:
    """What comes of the presentation contexts of a peer, and the A-ASSOCIATE-AC PDU that tells it.

    ``allows`` tells of a permission whether the peer has it. A context for something that it may not do is rejected.
    """
    offered_roles = {item.sop_class_uid: item for item in _items(request, SCP_SCU_RoleSelectionNegotiation)}
    contexts: list[Context] = []
    results: list[PresentationContext] = []
    roles: dict[str, tuple[bool, bool]] = {}
    for offer in request.presentation_context_definition_list:
        identifier, sop_class = offer.context_id or 0, str(offer.abstract_syntax)
        role = offered_roles.get(sop_class)
        scu, scp = (bool(role.scu_role), bool(role.scp_role)) if role else (True, False)
        serving = [service for service in services if service.sop_class == sop_class]
        sending = [service for service in services if sop_class in service.sends]
        # Without negotiation of roles, the requestor is the SCU; the SCP of some classes sends requests as well.
        events = any(allows(service.permission) for service in serving if service.operation == N_EVENT_REPORT)
        requests = any(allows(service.permission) for service in serving if service.operation != N_EVENT_REPORT)
        as_scp = (scu and requests) or (scp and events)
        as_scu = any(allows(service.permission) for service in sending if scp or service.sop_class == sop_class)
        transfer_syntax = next((syntax for syntax in TRANSFER_SYNTAXES if syntax in offer.transfer_syntax), "")
        if not serving and not sending:
            result = _NO_SUCH_SYNTAX
        elif not transfer_syntax:
            result = _NO_SUCH_TRANSFER_SYNTAX
        elif not as_scp and not as_scu:
            result = _USER_REJECTION
        else:
            result = _ACCEPTED
            contexts.append(Context(identifier, sop_class, transfer_syntax, as_scu, as_scp))
            if role:
                before = roles.get(sop_class, (False, False))
                roles[sop_class] = before[0] or (scu and requests), before[1] or (scp and (as_scu or events))
        results.append(_context(identifier, sop_class, [transfer_syntax or str(offer.transfer_syntax[0])], result))
    extended = {}
    for item in _items(request, SOPClassExtendedNegotiation):
        for service in services:
            if service.sop_class == item.sop_class_uid and any(entry.sop_class == service.sop_class for entry in contexts):
                if answer := service.negotiate(item.service_class_application_information):
                    extended[service.sop_class] = answer
    primitive = A_ASSOCIATE()
    primitive.application_context_name = APPLICATION_CONTEXT
    primitive.calling_ae_title, primitive.called_ae_title = request.calling_ae_title, request.called_ae_title
    primitive.result, primitive.result_source = 0, 1
    primitive.presentation_context_definition_results_list = results
    primitive.user_information = _user_information(roles, extended)
    pdu = A_ASSOCIATE_AC()
    pdu.from_primitive(primitive)
    return Negotiated(_maximum(request), contexts, extended), pdu.encode()


def requested(
    ae_title: str, called: str, sop_class: str, extended: bytes = b"", as_scp: bool = False, receives: str = ""
) -> bytes:
    """The A-ASSOCIATE-RQ PDU that asks for an SOP class, a context for each transfer syntax.

    ``as_scp`` asks for the role of the SCP, whose peer is its SCU (PS3.7 D.3.3.4). ``receives`` is the SOP class of the
    requests that come from the peer over the same association: another one, whose SCP is here then, or the same.
    """
    primitive = A_ASSOCIATE()
    primitive.application_context_name = APPLICATION_CONTEXT
    primitive.calling_ae_title, primitive.called_ae_title = ae_title, called
    primitive.presentation_context_definition_list = [
        _context(identifier, offered, [syntax]) for identifier, (offered, syntax) in _offers(sop_class, receives).items()
    ]
    roles = {sop_class: (False, True)} if as_scp else {}
    if receives not in ("", sop_class):
        roles[receives] = (False, True)
    primitive.user_information = _user_information(roles, {sop_class: extended} if extended else {})
    pdu = A_ASSOCIATE_RQ()
    pdu.from_primitive(primitive)
    return pdu.encode()


def read_acceptance(pdu: Pdu, sop_class: str, as_scp: bool = False, receives: str = "") -> Negotiated:
    """What the peer made of ``requested``.

    Raises:
        any exception, if the PDU is broken.
    """
    answer = A_ASSOCIATE_AC()
    answer.decode(pdu.encoded)
    primitive = answer.to_primitive()
    as_scp_of = {str(item.sop_class_uid) for item in _items(primitive, SCP_SCU_RoleSelectionNegotiation) if item.scp_role}
    contexts = []
    for context in primitive.presentation_context_definition_results_list:
        offered, _ = _offers(sop_class, receives)[context.context_id or 0]
        needs_role = as_scp if offered == sop_class else True
        if context.result != _ACCEPTED or (needs_role and offered not in as_scp_of):
            continue
        transfer_syntax = str(context.transfer_syntax[0])
        if transfer_syntax in TRANSFER_SYNTAXES:
            requests_come = as_scp or offered == receives
            contexts.append(Context(context.context_id or 0, offered, transfer_syntax, offered == sop_class, requests_come))
    extended = {
        str(item.sop_class_uid): item.service_class_application_information
        for item in _items(primitive, SOPClassExtendedNegotiation)
    }
    return Negotiated(_maximum(primitive), contexts, extended)


def _offers(sop_class: str, receives: str) -> dict[int, tuple[str, str]]:
    """SOP class and transfer syntax of each context that is asked for, by its ID."""
    classes = dict.fromkeys((sop_class, receives or sop_class))
    pairs = [(offered, syntax) for offered in classes for syntax in TRANSFER_SYNTAXES]
    return {2 * place + 1: pair for place, pair in enumerate(pairs)}


def _items(primitive: A_ASSOCIATE, kind: type) -> list:  # type: ignore[type-arg]
    return [item for item in primitive.user_information if isinstance(item, kind)]


def _maximum(primitive: A_ASSOCIATE) -> int:
    return next((item.maximum_length_received for item in _items(primitive, MaximumLengthNotification)), 0)


def _context(
    identifier: int, sop_class: str, transfer_syntaxes: Collection[str], result: int | None = None
) -> PresentationContext:
    context = PresentationContext()
    context.context_id = identifier
    context.abstract_syntax = sop_class  # type: ignore[assignment]
    context.transfer_syntax = list(transfer_syntaxes)  # type: ignore[assignment]
    context.result = result
    return context


def _user_information(roles: Mapping[str, tuple[bool, bool]], extended: Mapping[str, bytes]) -> list[Any]:
    length = MaximumLengthNotification()
    length.maximum_length_received = MAXIMUM_LENGTH
    implementation = ImplementationClassUIDNotification()
    implementation.implementation_class_uid = uids.IMPLEMENTATION_CLASS  # type: ignore[assignment]
    version = ImplementationVersionNameNotification()
    version.implementation_version_name = uids.IMPLEMENTATION_VERSION_NAME
    items: list[Any] = [length, implementation, version]
    for sop_class, (scu, scp) in roles.items():
        role = SCP_SCU_RoleSelectionNegotiation()
        role.sop_class_uid = sop_class  # type: ignore[assignment]
        role.scu_role, role.scp_role = scu, scp
        items.append(role)
    for sop_class, information in extended.items():
        negotiation = SOPClassExtendedNegotiation()
        negotiation.sop_class_uid = sop_class  # type: ignore[assignment]
        negotiation.service_class_application_information = information
        items.append(negotiation)
    return items

