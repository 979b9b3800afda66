"""Inventories over DICOM: an Application Entity of its own beside that of Orthanc, which cannot learn new SOP classes.

From the wire upwards: ``connection`` (PDUs), ``association`` (messages), ``presentation`` (negotiation), ``responder``
(requests of a peer), ``acceptor`` and ``requestor`` (associations that a peer asks for, and that are asked of one), ``find``
(what a peer is asked for), ``application_entity`` (threads), ``server`` (configuration).

A service is one class in a module of its own, made in ``plugin.py`` and given to ``Dimse.start`` with the others; see
``service.Service`` for what it has and ``verification`` for the smallest one. To add one:

- it names its SOP class, the operation and the permission that a peer needs; the rest of the frame goes by that: which
  presentation contexts are accepted, who is refused, how a response repeats its request, the line in the log;
- ``serve`` is a generator of responses. It calls ``Request.is_canceled`` between its steps, and reads its data set by
  ``Request.data_set``. Responses carry encoded data sets, and any element of a command set by keyword; many pending ones
  that differ in their data sets only go together (``PendingResponses``);
- an SOP class with several operations has a service for each;
- requests of its own over the same association go by ``Association.request``, from within ``serve`` or, later and from
  another thread, by ``Association.post``; over a new one by ``Requestor.association``. ``event_reports`` does both.
"""
