"""Archives that answer questions for studies as real ones do: with limits, and with matching of their own."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from orthanc_inventory.sources.remote import Enough

Record = Mapping[str, str]


def study(uid: str, patient: str = "", date: str = "", time: str = "", accession: str = "") -> Record:
    return {"StudyInstanceUID": uid, "PatientID": patient, "StudyDate": date, "StudyTime": time, "AccessionNumber": accession}


@dataclass
class LimitedArchive:
    """``limit`` records at most are in an answer; ``tells`` whether it says so, ``keeps`` whether it sends as many then.

    ``wild_cards``, ``ranges`` and ``cases``: whether it matches them as the standard says. ``order`` mixes each answer anew.
    """

    studies: list[Record]
    limit: int = 0
    tells: bool = False
    keeps: bool = True
    wild_cards: bool = True
    ranges: bool = True
    cases: bool = True
    order: random.Random | None = None
    asked: list[Mapping[str, str]] = field(default_factory=list)

    def ask(self, keys: Mapping[str, str], take: Callable[[Any], None], begin: Callable[[], None]) -> bool:
        begin()
        self.asked.append(keys)
        found = [record for record in self.studies if all(self._matches(key, value, record) for key, value in keys.items())]
        if self.order:
            self.order.shuffle(found)
        is_cut = bool(self.limit) and len(found) > self.limit
        try:
            for record in found[: self.limit or None] if self.keeps or not is_cut else []:
                take(record)
        except Enough:
            return False
        return not (is_cut and self.tells)

    def _matches(self, keyword: str, value: str, record: Record) -> bool:
        has = record[keyword]
        if keyword in ("StudyDate", "StudyTime"):
            if not self.ranges:
                return True
            first, hyphen, last = value.partition("-")
            return bool(has) and first <= has and (not last or has <= last) and (bool(hyphen) or has == first)
        if not self.wild_cards:
            return has == value
        pattern = ".*".join(map(re.escape, value.split("*")))
        return bool(re.fullmatch(pattern, has, re.DOTALL | (0 if self.cases else re.IGNORECASE)))
