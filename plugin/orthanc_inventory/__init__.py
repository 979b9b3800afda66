"""The Inventory of DICOM Supplement 223 for Orthanc: what exactly is in the archive, and is it all there?"""

__version__ = "0.1.0"
