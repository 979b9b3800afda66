"""The inventories that commands read: files, or those of an Orthanc, which are fetched first."""

from __future__ import annotations

import argparse
import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..dicom.values import is_uid
from ..reader import Inventory, open_inventory
from . import CommandError
from .client import Client, has_url
from .progress import Progress
from .text import number

LATEST = "latest"
# For the help of commands that take an inventory.
SOURCE_HELP = "a file, folder, ZIP or TAR; or of the Orthanc at --url a SOP Instance UID, or 'latest': its newest COMPLETE one"


def is_remote(arguments: argparse.Namespace, source: str) -> bool:
    """Whether ``source`` names an inventory of an Orthanc: ``latest`` or a UID, if there is a URL. Else it is a path."""
    return (source == LATEST or is_uid(source)) and has_url(arguments)


@contextmanager
def open_input(arguments: argparse.Namespace, source: str) -> Iterator[Inventory]:
    """The inventory that ``source`` names, see ``is_remote``. What is fetched for it is deleted at the end.

    Raises:
        CommandError: the Orthanc does not have it, or not whole.
        InvalidInventory, MissingInstance, OSError: see ``open_inventory``.
    """
    if not is_remote(arguments, source):
        if not os.path.exists(source) and (source == LATEST or is_uid(source)):
            raise CommandError(f"there is no file {source}; if it is an inventory of an Orthanc, give --url")
        yield open_inventory(source)
        return
    client = Client.of(arguments)
    uid = remote_uid(client, source)
    # Made with mode 0700.
    with tempfile.TemporaryDirectory(prefix="orthanc-inventory-") as folder:
        fetch(client, uid, Path(folder))
        yield open_inventory(folder, uid)


def remote_uid(client: Client, source: str) -> str:
    """The SOP Instance UID of the root that ``source``, a UID or ``latest``, names."""
    if source != LATEST:
        return source
    for uid in reversed(client.get_json("/inventories", list)):
        if client.get_json(f"/inventories/{uid}").get("InventoryCompletionStatus") == "COMPLETE":
            return str(uid)
    raise CommandError(f"there is no COMPLETE inventory at {client.url}")


def fetch(client: Client, uid: str, folder: Path) -> None:
    """Fetches all files of an inventory, one by one, and compares each with its SHA-256.

    Raises:
        CommandError
    """
    summary = client.get_json(f"/inventories/{uid}")
    if missing := summary.get("Missing"):
        raise CommandError(f"{len(missing)} files of the inventory {uid} are missing at {client.url}")
    digests = summary.get("SHA256", {})
    instances = summary.get("InstanceUIDs", [])
    with Progress() as progress:
        for done, instance in enumerate(instances):
            progress.show(100 * done / len(instances), f"file {number(done + 1)} of {number(len(instances))} is fetched")
            if not is_uid(instance):
                raise CommandError(f"{client.url} names an inventory instance that is no UID")
            if _fetch_file(client, instance, folder / f"{instance}.dcm") != digests.get(instance):
                raise CommandError(f"the file {instance} came from {client.url} with other bytes than its SHA-256 says")


def _fetch_file(client: Client, uid: str, path: Path) -> str:
    """Answers the SHA-256 of what came."""
    digest = hashlib.sha256()
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        for chunk in client.stream(f"/inventories/{uid}/file"):
            digest.update(chunk)
            file.write(chunk)
    return digest.hexdigest()
