"""Which attributes are compared, and when two values are the same."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from ...dicom.attributes import INSTANCE, SERIES, STUDY
from ...dicom.macros import Attribute
from ...dicom.terms import LEVELS

_TABLES: Mapping[str, tuple[Attribute, ...]] = {"STUDY": STUDY, "SERIES": SERIES, "INSTANCE": INSTANCE}
# What is paired by, and what decides whether a record is there at all.
_PAIRED_BY = frozenset({"StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "RemovedFromOperationalUse"})
TRANSFER_SYNTAX, LENGTH, MAC_ALGORITHM, MAC = (
    "StoredInstanceTransferSyntaxUID", "FileLengthInContainer", "MACAlgorithm", "MAC",
)
# Of the files of an instance (PS3.3 Table C.38.2-2).
_OF_FILES = (LENGTH, TRANSFER_SYNTAX, MAC)
# What must not change on the way from one archive to another. Numbers of what is below are compared where it is not listed.
_DEFAULT: Mapping[str, tuple[str, ...]] = {
    "STUDY": ("PatientID", "PatientName", "PatientBirthDate", "StudyDate", "AccessionNumber"),
    "SERIES": ("Modality",),
    "INSTANCE": ("SOPClassUID", LENGTH, MAC),
}
_DEFAULT_COUNTS: Mapping[str, tuple[str, ...]] = {
    "STUDY": ("ModalitiesInStudy", "NumberOfStudyRelatedSeries", "NumberOfStudyRelatedInstances"),
    "SERIES": ("NumberOfStudyRelatedInstances",),
    "INSTANCE": (),
}


class InvalidChoice(ValueError):
    """A level or an attribute that cannot be compared; one line that names it and what is allowed."""


class File(NamedTuple):
    """A file of an instance; empty text is what is not known of it."""

    transfer_syntax: str
    length: str
    mac_algorithm: str
    mac: str


class Values(NamedTuple):
    """What a record says: text by keyword, and of an instance its files."""

    attributes: Mapping[str, str]
    files: Sequence[File] = ()


class Chosen(NamedTuple):
    """The attributes to compare, by level down to ``level``; ``files`` are keywords of what is told of files."""

    level: str
    rows: Mapping[str, tuple[Attribute, ...]]
    files: tuple[str, ...]

    @property
    def keywords(self) -> list[str]:
        return list(dict.fromkeys([*(row.keyword for rows in self.rows.values() for row in rows), *self.files]))

    def differing(self, level: str, first: Values, second: Values) -> dict[str, list[str]]:
        """The attributes of two records of that level that differ, with both values."""
        found = {}
        for row in self.rows[level]:
            one, other = first.attributes[row.keyword], second.attributes[row.keyword]
            if one != other and _canonical(row, one) != _canonical(row, other):
                found[row.keyword] = [one, other]
        if level == "INSTANCE" and self.files:
            found.update(self._differing_files(first.files, second.files))
        return found

    def _differing_files(self, first: Sequence[File], second: Sequence[File]) -> dict[str, list[str]]:
        """Digest and size tell of a change only where the transfer syntax is the same; what one side does not know is none."""
        found: dict[str, list[str]] = {}
        if TRANSFER_SYNTAX in self.files:
            known = [sorted({file.transfer_syntax for file in files} - {""}) for files in (first, second)]
            if all(known) and known[0] != known[1]:
                found[TRANSFER_SYNTAX] = ["\\".join(syntaxes) for syntaxes in known]
        pairs = [
            self._differing_file(one, other)
            for one in first
            for other in second
            if _may_be_one(one.transfer_syntax, other.transfer_syntax)
        ]
        # Of several files on a side, those that are most alike are a pair.
        closest: dict[str, list[str]] = min(pairs, key=len, default={})
        return {**found, **closest}

    def _differing_file(self, first: File, second: File) -> dict[str, list[str]]:
        found = {}
        if LENGTH in self.files and first.length and second.length and first.length != second.length:
            found[LENGTH] = [first.length, second.length]
        comparable = MAC in self.files and first.mac and second.mac and _may_be_one(first.mac_algorithm, second.mac_algorithm)
        if comparable and first.mac.lower() != second.mac.lower():
            found[MAC] = [first.mac, second.mac]
        return found


def _may_be_one(first: str, second: str) -> bool:
    """Whether two terms are the same, as far as is known."""
    return first == second or not first or not second


def common_level(first: str, second: str, wanted: str = "") -> str:
    """The level at which two inventories of these levels are compared.

    Raises:
        InvalidChoice: the wanted one is none, or one of the two does not have it; or none is named and the two differ.
    """
    common = min(first, second, key=LEVELS.index)
    if wanted:
        level = wanted.upper()
        if level not in LEVELS:
            raise InvalidChoice(f"level must be one of {', '.join(LEVELS)}")
        if LEVELS.index(level) > LEVELS.index(common):
            raise InvalidChoice(f"level {level} is not in both: the first has {first}, the second {second}; common is {common}")
        return level
    if first != second:
        raise InvalidChoice(f"the first has level {first}, the second {second}; common is level {common}: ask for that")
    return common


def choose(level: str, keywords: Sequence[str], told: Collection[str] | None) -> Chosen:
    """The attributes to compare down to ``level``.

    Args:
        keywords: what is asked for; by default what must not change on the way from one archive to another.
        told: the keywords that both sides can tell; None if that is all of them.

    Raises:
        InvalidChoice: it names the first keyword that cannot be compared.
    """
    levels = LEVELS[: LEVELS.index(level) + 1]
    if not keywords:
        default = [*(keyword for name in levels for keyword in _DEFAULT[name]), *_DEFAULT_COUNTS[level]]
        keywords = [keyword for keyword in default if told is None or keyword in told]
    else:
        for keyword in keywords:
            _check(keyword, levels, told)
    rows = {name: tuple(row for row in _rows(name) if row.keyword in keywords) for name in levels}
    files = tuple(keyword for keyword in _OF_FILES if keyword in keywords) if level == "INSTANCE" else ()
    return Chosen(level, rows, files)


def comparable_keywords(levels: Sequence[str] = LEVELS) -> list[str]:
    """All keywords that can be asked for."""
    keywords = [row.keyword for level in levels for row in _rows(level)]
    return list(dict.fromkeys([*keywords, *(_OF_FILES if "INSTANCE" in levels else ())]))


def _rows(level: str) -> list[Attribute]:
    """What stands at one level alone: the rest holds for the records below too, and tells where files are, not what they are."""
    others = {row.keyword for name in LEVELS if name != level for row in _TABLES[name]}
    return [row for row in _TABLES[level] if row.vr != "SQ" and row.keyword not in _PAIRED_BY | others]


def _check(keyword: str, levels: Sequence[str], told: Collection[str] | None) -> None:
    shown = keyword if keyword.isascii() and keyword.isalnum() and len(keyword) <= 64 else "an attribute"
    if keyword not in comparable_keywords():
        allowed = ", ".join(comparable_keywords(levels))
        raise InvalidChoice(f"attributes: {shown} cannot be compared; allowed keywords: {allowed}")
    if keyword not in comparable_keywords(levels):
        raise InvalidChoice(f"attributes: {shown} belongs to a lower level than {levels[-1]}, down to which is compared")
    if told is not None and keyword not in told:
        raise InvalidChoice(f"attributes: {shown} is no column of the list")


def _canonical(row: Attribute, value: str) -> object:
    """Values that are written differently and mean the same are equal in this form."""
    if row.vr == "PN":  # delimiters of what is empty at the end may be left out (PS3.5 6.2.1)
        return [group.rstrip("^ ") for group in value.rstrip("=^ ").split("=")]
    if row.vr in ("IS", "DS", "US", "UL", "UV"):
        try:
            return [float(number) if row.vr == "DS" else int(number) for number in value.split("\\")]
        except ValueError:
            return value
    if row.vr == "TM":
        return value.rstrip("0").rstrip(".") if "." in value else value
    if row.keyword == "ModalitiesInStudy":
        return sorted(value.split("\\"))
    return value
