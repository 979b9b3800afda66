"""The PythonScript of Orthanc that makes inventories. A script of your own can do the same, see the README."""

import orthanc

from orthanc_inventory.plugin import register

register(orthanc)
