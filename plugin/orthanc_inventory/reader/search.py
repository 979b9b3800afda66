"""Which studies have a text in what people know them by: a temporary database beside the index, made at the first search."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from .records import Study
from .temporary_database import TemporaryDatabase

# Study Date is compared as a whole; in Accession Number, Study Description, Patient Name, Patient ID and Study Instance UID
# the text may stand anywhere.
_TAGS = (0x00080020, 0x00080050, 0x00081030, 0x00100010, 0x00100020, 0x0020000D)
_SCHEMA = "CREATE TABLE study (number INTEGER PRIMARY KEY, uid TEXT, patient TEXT, date TEXT, text TEXT)"


class StudySearch:
    """``studies`` are UID, Patient ID and latest record of each study, in the order in which they are to be found."""

    def __init__(self, studies: Iterable[tuple[str, str, Study]]) -> None:
        self._database = TemporaryDatabase(_SCHEMA)
        self._database.insert("INSERT INTO study (uid, patient, date, text) VALUES (?, ?, ?, ?)", _rows(studies))

    def find(self, text: str, since: int, limit: int) -> tuple[int, list[tuple[str, str]]]:
        """How many studies there are with that text, and UID and Patient ID of those from ``since`` on."""
        condition = "FROM study WHERE date = ? OR instr(text, ?)"
        wanted = (text.strip(), _folded(text.strip()))
        [[number]] = self._database.select(f"SELECT count(*) {condition}", *wanted)
        page = f"SELECT uid, patient {condition} ORDER BY number LIMIT ? OFFSET ?"
        return number, list(self._database.select(page, *wanted, limit, since))


def _rows(studies: Iterable[tuple[str, str, Study]]) -> Iterator[tuple[str, str, str, str]]:
    for uid, patient, record in studies:
        date, *texts = record.texts(_TAGS)
        yield uid, patient, date, _folded("\n".join(texts))


def _folded(text: str) -> str:
    """Case does not matter, and the parts of a name may be parted by a space as well (PS3.5 6.2.1)."""
    return text.casefold().replace("^", " ")
