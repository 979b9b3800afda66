"""The page for people: its files, served by ``rest.app``, and what Orthanc Explorer gets to lead there."""

from pathlib import Path

# JavaScript for Orthanc Explorer 1.
EXTENSION = Path(__file__).with_name("orthanc_explorer.js").read_text()
