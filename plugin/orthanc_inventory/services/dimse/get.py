"""C-GET as SCU (PS3.7 9.1.3, PS3.4 C.4.3): objects that a peer sends over the same association."""

from __future__ import annotations

from collections.abc import Callable

from .association import Association, Context, close
from .messages import C_GET, Message, is_pending

_MEDIUM_PRIORITY = 0


def get(
    association: Association, context: Context, identifier: bytes, serve: Callable[[Message], None]
) -> tuple[int, str]:
    """Status and Error Comment of the final response; until that, ``serve`` answers the C-STORE requests.

    ``identifier`` is in the transfer syntax of ``context``, which is one of ``Association.context``.

    Raises:
        AssociationEnded: before the final response.
    """
    command = {"CommandField": C_GET, "AffectedSOPClassUID": context.sop_class, "Priority": _MEDIUM_PRIORITY}
    association.begin(context, command, (identifier,))
    while True:
        response = association.next_response(serve)
        close(response.data)
        status = response.command["Status"]
        if not is_pending(status):
            return status, response.command.get("ErrorComment", "")
