"""The scope of an inventory as options give it."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from ..dicom.scope import LABELS
from . import CommandError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--scope", metavar="KEY=VALUE", action="append", default=[],
        help="only studies that match, such as StudyDate=20200101-20201231 or ModalitiesInStudy='CT\\MR'; several times: all",
    )
    parser.add_argument("--scope-json", metavar="FILE", type=Path, help="the same as a JSON object in a file")


def scope_of(arguments: argparse.Namespace) -> dict[str, Any]:
    """As an object of keywords and values, which is not looked at.

    Raises:
        CommandError
    """
    scope = _scope_of_file(arguments.scope_json) if arguments.scope_json else {}
    for text in arguments.scope:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise CommandError("--scope must be of the form KEY=VALUE, such as PatientID=P1")
        if key == LABELS:
            scope.setdefault(LABELS, []).append(value)
        elif key in scope:
            raise CommandError(f"--scope has {key} twice; several values are one: {key}='CT\\MR'")
        else:
            scope[key] = value
    return scope


def _scope_of_file(path: Path) -> dict[str, Any]:
    try:
        scope = json.loads(path.read_bytes())
    except ValueError:
        scope = None
    if not isinstance(scope, dict):
        raise CommandError(f"--scope-json {path} must hold a JSON object of keywords and values")
    return scope
