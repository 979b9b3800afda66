from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from . import archive, inventory
from .orthanc import Failure, Orthanc


def main() -> int:
    parser = argparse.ArgumentParser(prog="demo")
    parser.add_argument("--check", action="store_true", help="compare a new inventory with the archive")
    parser.add_argument("--process", type=int, required=True, help="process ID of Orthanc")
    arguments = parser.parse_args()
    orthanc = Orthanc(f"http://127.0.0.1:{os.environ['INVENTORY_HTTP_PORT']}")
    try:
        orthanc.wait_until_ready(arguments.process)
        archive.fill(orthanc, Path(os.environ["INVENTORY_DATA"], "filling"))
        known = orthanc.get("/inventories?expand")
        summary = inventory.make(orthanc) if arguments.check or not known else known[-1]
        inventory.show(orthanc, summary)
        if arguments.check:
            inventory.check(orthanc, summary)
    except (Failure, OSError) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


sys.exit(main())
