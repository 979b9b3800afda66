"""Makes, lists, reads, compares and verifies DICOM Inventories: those of an Orthanc with the plugin, and files; and finds
those of other systems over DICOM.

Exit codes: 0 all is well; 1 there are differences, or an inventory is not COMPLETE; 2 it could not be done.
"""

from __future__ import annotations

import argparse
import io
import os
import signal
import sys
import warnings
from types import FrameType, ModuleType
from typing import NoReturn

from . import __version__
from .commands import FAILED, CommandError
from .commands import client, compare, create, export, find, get, harvest, listing, peer, request, show, verify, watch
from .commands.text import tell
from .dicom.decoder import InvalidInventory
from .reader import MissingInstance

OVER_HTTP: tuple[ModuleType, ...] = (create, listing, show, export, compare, verify, watch)
OVER_DICOM: tuple[ModuleType, ...] = (find, get, request, harvest)
COMMANDS = OVER_HTTP + OVER_DICOM
_PROGRAM = "orthanc-inventory"
# As a shell tells that a program ended by a signal.
_BROKEN_PIPE, _INTERRUPTED = 128 + signal.SIGPIPE, 128 + signal.SIGINT


class _Parser(argparse.ArgumentParser):
    """Tells an error in one line."""

    def error(self, message: str) -> NoReturn:
        raise CommandError(f"{message}; {self.prog} --help tells more")


def main(arguments: list[str] | None = None) -> int:
    """Runs a command; without ``arguments`` that of the process. Answers the exit code."""
    if arguments is None:
        for number in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is signal.SIG_DFL:
                signal.signal(number, _end)
        # What pydicom finds odd may hold values of patients.
        warnings.filterwarnings("ignore", module="pydicom")
    # A stream that is closed from the start is None.
    sys.stdout, sys.stderr = (stream or open(os.devnull, "w") for stream in (sys.stdout, sys.stderr))
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        parsed = _parse(sys.argv[1:] if arguments is None else arguments)
        code: int = parsed.run(parsed)
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        # Nobody reads on. What is still waiting to be written must not fail once more at the end of the process.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _BROKEN_PIPE
    except KeyboardInterrupt:
        return _INTERRUPTED
    except (CommandError, InvalidInventory, MissingInstance) as error:
        problem = str(error)
    except OSError as error:
        problem = f"{error.filename}: {error.strerror}" if error.filename else str(error)
    tell(f"{_PROGRAM}: {problem}")
    return FAILED


def _end(number: int, frame: FrameType | None) -> NoReturn:
    """Ends the process upon a signal, but not before it has taken away what it fetched."""
    sys.exit(128 + number)


def _parse(arguments: list[str]) -> argparse.Namespace:
    names = [command.NAME for command in COMMANDS]
    parser = _parser()
    if not arguments:
        parser.print_help(sys.stderr)
        raise SystemExit(FAILED)
    # An argument that is not understood is never repeated in full: it may be a password.
    if arguments[0] not in (*names, "-h", "--help", "--version"):
        raise CommandError(f"the first argument must be one of {', '.join(names)}, or --help or --version")
    parsed, unknown = parser.parse_known_args(arguments)
    for argument in unknown:
        if argument.startswith("--"):
            raise CommandError(f"there is no option {argument.partition('=')[0]}; {_PROGRAM} {arguments[0]} --help lists them")
    if unknown:
        raise CommandError(f"there are too many arguments; {_PROGRAM} {arguments[0]} --help lists them")
    return parsed


def _parser() -> argparse.ArgumentParser:
    description, _, epilog = (__doc__ or "").strip().partition("\n\n")
    parser = _Parser(prog=_PROGRAM, description=description, epilog=epilog, allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"{_PROGRAM} {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True, parser_class=_Parser)
    for command in COMMANDS:
        text = (command.__doc__ or "").strip()
        subparser = commands.add_parser(
            command.NAME, help=text.partition("\n")[0], description=text, allow_abbrev=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.add_arguments(subparser)
        (peer if command in OVER_DICOM else client).add_arguments(subparser)
        subparser.set_defaults(run=command.run)
    return parser
