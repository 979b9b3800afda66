"""UIDs of the standard (PS3.6 Annex A) and new ones."""

from __future__ import annotations

import uuid

INVENTORY_STORAGE = "1.2.840.10008.5.1.4.1.1.201.1"
INVENTORY_FIND = "1.2.840.10008.5.1.4.1.1.201.2"
INVENTORY_MOVE = "1.2.840.10008.5.1.4.1.1.201.3"
INVENTORY_GET = "1.2.840.10008.5.1.4.1.1.201.4"
INVENTORY_CREATION = "1.2.840.10008.5.1.4.1.1.201.5"
# The one instance of Inventory Creation, well-known.
STORAGE_MANAGEMENT_INSTANCE = "1.2.840.10008.5.1.4.1.1.201.1.1"
MEDIA_STORAGE_DIRECTORY = "1.2.840.10008.1.3.10"
IMPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2"
EXPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"
DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2.1.99"

# Made once from random bits, as PS3.5 B.2 allows: they name this implementation for ever.
IMPLEMENTATION_CLASS = "2.25.253216748411209347461153912038426719354"
IMPLEMENTATION_VERSION_NAME = "ORTHANC_INV_1"


def new_uid() -> str:
    """A unique UID below 2.25, made from a random UUID (PS3.5 B.2)."""
    return f"2.25.{uuid.uuid4().int}"
