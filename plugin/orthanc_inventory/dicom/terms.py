"""Terms that the text of the standard at hand leaves open or only partly names. Readers accept any value."""

from __future__ import annotations

# Inventory Completion Status (0008,0426), PS3.3 C.38.1.1.3
COMPLETE = "COMPLETE"
PARTIAL = "PARTIAL"

# Container File Type (0008,040A) of a plain PS3.10 file, PS3.3 C.38.1.2.8
PLAIN_FILE = "DICOM"

# Inventory Level (0008,0403), PS3.3 C.38.1.1, from the coarsest to the finest
LEVELS = ("STUDY", "SERIES", "INSTANCE")

# Extended Matching Mechanisms (0008,040F), PS3.3 C.38.2.1
RELATIONAL = "RELATIONAL"
DATETIME = "DATETIME"
FUZZY = "FUZZY"
TIMEZONE_ADJUST = "TIMEZONE_ADJUST"
EMPTY_VALUE = "EMPTY_VALUE"
MULTIPLE_VALUE = "MULTIPLE_VALUE"
MECHANISMS = (RELATIONAL, DATETIME, FUZZY, TIMEZONE_ADJUST, EMPTY_VALUE, MULTIPLE_VALUE)
