"""Rejection notes: Key Object Selections that withdraw the objects they refer to (IHE RAD TF-2 4.66, IOCM)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

KEY_OBJECT_SELECTION = "1.2.840.10008.5.1.4.1.1.88.59"

# Titles of rejection notes (CID 7011), which are reasons for removal (CID 7031) as well.
REASONS = {
    "113001": "Rejected for Quality Reasons",
    "113037": "Rejected for Patient Safety Reasons",
    "113038": "Incorrect Modality Worklist Entry",
    "113039": "Data Retention Policy Expired",
}


class Rejected(NamedTuple):
    """UIDs of an object that is withdrawn, and the code of the reason."""

    study_uid: str
    series_uid: str
    uid: str
    reason: str


def removal(reason: str = "") -> dict[str, Any]:
    """What tells that a study, series or instance is withdrawn; ``reason`` is a code of ``REASONS``, empty if not known."""
    code = {"CodeValue": reason, "CodingSchemeDesignator": "DCM", "CodeMeaning": REASONS.get(reason, "")}
    return {"RemovedFromOperationalUse": "Y", "ReasonForRemovalCodeSequence": [code] if reason else []}


def rejected_objects(note: Mapping[str, Any]) -> Iterator[Rejected]:
    """The objects that a Key Object Selection withdraws: none, if it is no rejection note.

    ``note`` has values by keyword, sequences as lists. All that a note refers to is in its evidence (PS3.3 C.17.6.2.1).
    """
    if note.get("SOPClassUID") != KEY_OBJECT_SELECTION:
        return
    titles = _items(note, "ConceptNameCodeSequence")
    codes = {str(title.get("CodeValue")) for title in titles if title.get("CodingSchemeDesignator") == "DCM"}
    for reason in codes & REASONS.keys():
        for study in _items(note, "CurrentRequestedProcedureEvidenceSequence"):
            for series in _items(study, "ReferencedSeriesSequence"):
                for instance in _items(series, "ReferencedSOPSequence"):
                    yield Rejected(
                        str(study.get("StudyInstanceUID")),
                        str(series.get("SeriesInstanceUID")),
                        str(instance.get("ReferencedSOPInstanceUID")),
                        reason,
                    )


def _items(attributes: Mapping[str, Any], keyword: str) -> list[Mapping[str, Any]]:
    value = attributes.get(keyword)
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []
