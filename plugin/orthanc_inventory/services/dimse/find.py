"""C-FIND as SCU (PS3.7 9.1.2, PS3.4 C.4.1): what a peer finds, answer by answer."""

from __future__ import annotations

from collections.abc import Iterator

from .association import Association, Context, close
from .messages import C_CANCEL, C_FIND, PENDING_WITH_WARNING, is_pending

_MEDIUM_PRIORITY = 0


class Find:
    """One query. ``identifier`` is in the transfer syntax of ``context``, which is one of ``Association.context``.

    Answers are read from the network as they are taken, so that there may be any number of them.

    Attributes:
        status: that of the final response, None until that is there.
        comment: the Error Comment (0000,0902) with it.
        keys_unsupported: whether the peer told of an answer that some keys are not supported for existence (FF01H).
    """

    def __init__(self, association: Association, context: Context, identifier: bytes) -> None:
        self._association = association
        self._context = context
        self._identifier = identifier
        self._message_id = 0
        self.status: int | None = None
        self.comment = ""
        self.keys_unsupported = False

    def answers(self) -> Iterator[bytes]:
        """The identifiers of the pending responses, in the transfer syntax of the context; ``status`` is there at the end.

        Must be read to its end, after ``cancel`` too, before anything else is asked of the association.

        Raises:
            AssociationEnded: it ends before the final response.
        """
        association = self._association
        command = {
            "CommandField": C_FIND, "AffectedSOPClassUID": self._context.sop_class, "Priority": _MEDIUM_PRIORITY,
        }
        self._message_id = association.begin(self._context, command, (self._identifier,))
        while self.status is None:
            response = association.next_response()
            try:
                status = response.command["Status"]
                if not is_pending(status):
                    self.status, self.comment = status, response.command.get("ErrorComment", "")
                    return
                if response.data is None or response.too_large:
                    raise association.violation("it sent an answer without an identifier, or with one that is too large")
                identifier = response.data.read()
            finally:
                close(response.data)
            self.keys_unsupported |= status == PENDING_WITH_WARNING
            yield identifier

    def cancel(self) -> None:
        """Asks the peer to come to an end (C-CANCEL); answers that are on their way still come.

        Raises:
            AssociationEnded
        """
        if self._message_id and self.status is None:
            command = {"CommandField": C_CANCEL, "MessageIDBeingRespondedTo": self._message_id}
            self._association.send(self._context.id, command)
            self._association.flush()
