"""``python -m orthanc_inventory`` is the command ``orthanc-inventory``."""

from __future__ import annotations

import sys

from .cli import main

sys.exit(main())
