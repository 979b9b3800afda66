"""The commands of ``orthanc-inventory``, one module each.

A module has its help as its docstring, its ``NAME``, ``add_arguments(parser)`` for its own options and ``run(arguments)``,
which answers the exit code. ``cli`` lists the modules, and adds the options of the connection to each: to an Orthanc
(``client``), or to another system over DICOM (``peer``).
What is asked for goes to standard output, everything else to standard error.
"""

from __future__ import annotations

# Exit codes: all is well; there are differences, or an inventory or a run is not COMPLETE; it could not be done.
FINE, DIFFERENT, FAILED = 0, 1, 2


class CommandError(Exception):
    """Why a command cannot do what it was asked for, in one line without credentials; it ends with exit code 2."""
