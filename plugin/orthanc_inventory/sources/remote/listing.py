"""All studies of an archive that may cut its answers short, with or without a word.

Who cuts does so at a number: an answer with fewer records than another one had is whole. So what is in doubt is an answer that
the archive itself calls unfinished, and the largest of all. Those are asked for again in parts, in two ways:

- by date: the days before the middle one, that day, the days after it; a day likewise by its time, down to a second.
  A range finds no study without a date or a time (PS3.4 C.2.2.2.5.1), so that this alone proves nothing.
- by patient: the Patient IDs that begin with each character, then with each next one; of one ID the accession numbers.
  This finds no study whose Patient ID is empty or of characters beyond ASCII.

A study is missed only if it escapes both ways. Where no smaller part can be asked for, that is told.
"""

from __future__ import annotations

import datetime
import re
import string
from collections import Counter
from collections.abc import Callable, Mapping
from typing import NamedTuple

from ...dicom.records import Attributes, Skipped
from ...dicom.values import legal_value
from . import Enough, PeerFailed
from .study_list import StudyList

# Gives the studies that match keys to the second function, having called the third before the first of them, also when it
# has to begin anew; answers whether they were all, see ``Peer.ask``.
AskStudies = Callable[[Mapping[str, str], Callable[[Attributes], None], Callable[[], None]], bool]
# First and last day, or second of a day; None for no limit.
Period = tuple[int | None, int | None]

_SECONDS = 0, 24 * 60 * 60 - 1
_DAYS = datetime.date.min.toordinal(), datetime.date.max.toordinal()
# Where no date is known to go by, the cut is in the middle of these.
_USUAL_DAYS = datetime.date(1980, 1, 1).toordinal(), datetime.date(2040, 1, 1).toordinal()
# Characters of ASCII, without those that mean something in a key.
_ASCII = string.digits + string.ascii_uppercase + string.ascii_lowercase + string.punctuation
_CHARACTERS = [character for character in _ASCII if character not in "*?\\"]
_PLAIN = re.compile("[" + re.escape("".join(_CHARACTERS)) + " ]+")
# Some archives leave these to their database, where they stand for other characters.
_IN_SQL = frozenset("%_")
# No longer values are looked for: those of PS3.5 have this length at most.
_LONGEST = 64
# The attributes whose beginnings are asked for, in this order.
_TEXTS = ("PatientID", "AccessionNumber")
# So many answers in a row that are unfinished and hold nothing: there is no use in asking for parts.
_MOST_FRUITLESS = 100


class _Found(NamedTuple):
    """An answer: how many records it has, whether the archive calls it finished, and how many are of which day and second.

    ``texts`` are the values of the attribute whose beginning was asked for.
    """

    size: int
    is_finished: bool
    days: Counter[int]
    seconds: Counter[int]
    texts: set[str]


class _Doubt(NamedTuple):
    """What cannot be asked for in smaller parts, and the answer to it."""

    where: str
    found: _Found


class _NoSuchMatching(Exception):
    """The archive does not match a key as it must; it cannot be asked in parts by it."""


class Listing:
    """One enumeration.

    Args:
        keys: matching keys of the scope, other than Study Date.
        days: the first and the last Study Date of the scope.

    Attributes:
        studies: what is found.
        questions: how many were asked.
    """

    def __init__(self, ask: AskStudies, keys: Mapping[str, str], days: Period = (None, None)) -> None:
        self._ask_studies = ask
        self._keys = dict(keys)
        self._days = days
        self._most = 0
        self._fruitless = 0
        self._whole = _Found(0, True, Counter(), Counter(), set())
        self._ignores_case = False
        self._has_own_wild_cards = False
        self.studies = StudyList()
        self.questions = 0

    def run(self, is_whole: bool, is_paged: bool = False) -> list[Skipped]:
        """Finds the studies, and answers where some may lack.

        Args:
            is_whole: whether an answer that the archive calls finished proves that it is.
            is_paged: whether such an answer was asked for page by page, up to its end; parts by date must agree with it then.

        Raises:
            PeerFailed, PeerUnreachable
        """
        self._whole = whole = self._ask(self._base())
        unlisted: list[Skipped] = []
        if not (whole.is_finished and is_whole) and not self._is_less_than_all(whole):
            unlisted = self._in_parts(is_paged)
        if count := self.studies.without_uid:
            unlisted.append(Skipped("", "Study", f"{count} studies have no Study Instance UID and cannot be asked for"))
        return unlisted

    @property
    def is_cut(self) -> bool:
        """Whether the archive is known to have cut the answer to the widest question."""
        return not self._whole.is_finished or len(self.studies) > self._whole.size

    # Questions

    def _base(self) -> dict[str, str]:
        return {**self._keys, **_study_date(*self._days)}

    def _ask(self, keys: Mapping[str, str], text: str = "", at_most: int | None = None) -> _Found:
        """``text`` is the attribute whose beginning is asked for. With ``at_most`` records are only counted, up to one more."""
        days: Counter[int] = Counter()
        seconds: Counter[int] = Counter()
        texts: set[str] = set()
        count = 0

        def begin() -> None:
            nonlocal count
            count = 0
            for kept in (days, seconds, texts):
                kept.clear()

        def take(record: Attributes) -> None:
            nonlocal count
            count += 1
            if at_most is not None:
                if count > at_most:
                    raise Enough
                return
            self.studies.add(record)
            if date := legal_value("DA", str(record.get("StudyDate") or "")):
                days[datetime.date(int(date[:4]), int(date[4:6]), int(date[6:])).toordinal()] += 1
            if time := legal_value("TM", str(record.get("StudyTime") or "")):
                hour, minute, second = (int(time[at : at + 2] or 0) for at in (0, 2, 4))
                seconds[min(hour * 3600 + minute * 60 + second, _SECONDS[1])] += 1
            if text:
                texts.add(str(record.get(text) or ""))

        self.questions += 1
        is_finished = self._ask_studies(keys, take, begin)
        self._most = max(self._most, count)
        self._fruitless = 0 if count or is_finished else self._fruitless + 1
        if self._fruitless > _MOST_FRUITLESS:
            raise PeerFailed("it calls every answer unfinished, and none of them holds a study")
        return _Found(count, is_finished, days, seconds, texts)

    def _is_in_doubt(self, found: _Found) -> bool:
        return not found.is_finished or found.size >= self._most > 0

    def _is_less_than_all(self, whole: _Found) -> bool:
        """Whether the answer within a scope is proved by a larger one without; else from here on everything is listed."""
        if not whole.is_finished or not self._base():
            # No studies at all: some archives answer nothing to a question without any key.
            return whole.is_finished and not whole.size and not self._ask({"StudyDate": "19000101-"}).size
        if not whole.size:
            return True
        everything = self._ask({}, at_most=whole.size)
        if everything.size > whole.size:
            return True
        self._keys, self._days = {}, (None, None)
        self._whole = self._ask({})
        return False

    def _in_parts(self, is_paged: bool) -> list[Skipped]:
        by_date = self._by_date(self._keys, self._days, self._whole)
        if self.is_cut and self._whole.is_finished:  # perhaps studies have come meanwhile
            self._whole = self._ask(self._base())
        if is_paged and not self.is_cut:
            return []
        by_text = None
        texts = [keyword for keyword in _TEXTS if keyword not in self._keys]
        if texts:
            try:
                self._check_wild_cards(texts[0])
                by_text = self._by_text(texts, self._base(), "")
            except _NoSuchMatching:
                pass
        if by_text is None:
            doubts = by_date if self._days != (None, None) else [*by_date, _Doubt("without StudyDate", self._unfinished)]
        else:
            undated = _Doubt(f"without StudyDate and {texts[0]}", self._unfinished)
            doubts = by_text + self._of_others(texts[0], {}, by_date, undated)
        return [
            Skipped(doubt.where, "Study", _reason(doubt.found))
            for doubt in doubts
            if self._is_in_doubt(doubt.found) and (self.is_cut or doubt.found.size > 1)
        ]

    @property
    def _unfinished(self) -> _Found:
        return self._whole._replace(is_finished=False)

    def _of_others(self, keyword: str, keys: Mapping[str, str], by_date: list[_Doubt], undated: _Doubt) -> list[_Doubt]:
        """Doubts about studies that cannot be asked for by the beginning of an attribute, if there are such."""
        dates = [date for value, date in self.studies.values(keyword, keys) if not self._can_be_asked(value)]
        if not dates:
            return []
        return by_date if all(dates) and not self.is_cut else [*by_date, undated]

    def _can_be_asked(self, value: str) -> bool:
        return bool(_PLAIN.fullmatch(value)) and not (self._has_own_wild_cards and not _IN_SQL.isdisjoint(value))

    # By date and time

    def _by_date(self, keys: Mapping[str, str], days: Period, found: _Found) -> list[_Doubt]:
        """Asks in parts for what ``found`` answers; what remains in doubt."""
        doubts: list[_Doubt] = []
        day = _middle(found.days, days, _USUAL_DAYS, _DAYS)
        for part in _thirds(days, day, _DAYS):
            answer = self._ask({**keys, **_study_date(*part)})
            if answer.size and not (answer.days and all(_is_within(one, part) for one in answer.days)):
                return [*doubts, _Doubt(_named(_study_date(*days)), answer._replace(is_finished=False))]
            if not self._is_in_doubt(answer):
                continue
            if part == (day, day):
                doubts.append(_Doubt(f"{_named(_study_date(day, day))} without StudyTime", answer))
                doubts += self._by_time({**keys, **_study_date(day, day)}, _SECONDS, answer)
            else:
                doubts += self._by_date(keys, part, answer)
        return doubts

    def _by_time(self, keys: Mapping[str, str], seconds: Period, found: _Found) -> list[_Doubt]:
        """The same for one day."""
        doubts: list[_Doubt] = []
        second = _middle(found.seconds, seconds, _SECONDS, _SECONDS)
        for part in _thirds(seconds, second, _SECONDS):
            asked = {**keys, "StudyTime": _times(*part)}
            answer = self._ask(asked)
            if answer.size and not (answer.seconds and all(_is_within(one, part) for one in answer.seconds)):
                return [*doubts, _Doubt(_named(keys), answer._replace(is_finished=False))]
            if not self._is_in_doubt(answer):
                continue
            if part == (second, second):
                doubts.append(_Doubt(_named(asked), answer))
            else:
                doubts += self._by_time(keys, part, answer)
        return doubts

    # By patient, then by accession number

    def _by_text(self, keywords: list[str], keys: Mapping[str, str], start: str) -> list[_Doubt]:
        """Asks for all values of the first attribute that begin with ``start``, one character after the other.

        Raises:
            _NoSuchMatching
        """
        keyword = keywords[0]
        doubts: list[_Doubt] = []
        above = {name: value for name, value in keys.items() if name in _TEXTS}
        for character in [*_CHARACTERS, " "] if start else _CHARACTERS:
            if self._ignores_case and character.islower():
                continue
            longer = start + character
            known = self.studies.count_beginning(keyword, longer, above)
            if known < self._most:  # else the answer would be in doubt anyway
                answer = self._ask({**keys, keyword: f"{longer}*"}, keyword)
                if answer.is_finished and known and not answer.texts:
                    raise _NoSuchMatching
                if self._is_of_other_case(longer, answer.texts):
                    continue
                if not self._is_in_doubt(answer):
                    continue
                if not known and not answer.texts and not _IN_SQL.isdisjoint(longer):
                    self._has_own_wild_cards = True
                    continue
            if len(longer) < _LONGEST:
                doubts += self._by_text(keywords, keys, longer)
        if start.strip(" ") == start != "":
            exact = {**keys, keyword: start}
            answer = self._ask(exact, keyword)
            if self._is_in_doubt(answer):
                doubts += self._of_one(keywords[1:], exact, answer)
        return doubts

    def _check_wild_cards(self, keyword: str) -> None:
        """Raises _NoSuchMatching where a value that is known is not found by its beginning."""
        value = next((value for value, _ in self.studies.values(keyword, {}) if _PLAIN.fullmatch(value)), "")
        if value:
            answer = self._ask({**self._base(), keyword: f"{value[: _LONGEST - 1]}*"})
            if answer.is_finished and not answer.size:
                raise _NoSuchMatching

    def _is_of_other_case(self, start: str, texts: set[str]) -> bool:
        """Whether what was asked for in lower case was found in upper case already: some archives compare so.

        Raises:
            _NoSuchMatching
        """
        beginning = {text[: len(start)] for text in texts}
        if all(text.casefold() == start.casefold() for text in beginning):
            self._ignores_case |= bool(beginning - {start}) and start != start.upper()
            return bool(beginning) and start not in beginning and start != start.upper()
        raise _NoSuchMatching

    def _of_one(self, keywords: list[str], keys: Mapping[str, str], found: _Found) -> list[_Doubt]:
        """Doubts about the studies of one patient, or with one accession number."""
        by_date = self._by_date({key: value for key, value in keys.items() if key != "StudyDate"}, self._days, found)
        undated = _Doubt("one patient, without StudyDate", found)
        doubts = by_date if self._days != (None, None) else [*by_date, undated]
        if not keywords or not any(self._is_in_doubt(doubt.found) for doubt in doubts):
            return doubts
        above = {name: value for name, value in keys.items() if name in _TEXTS}
        try:
            return self._by_text(keywords, keys, "") + self._of_others(keywords[0], above, by_date, undated)
        except _NoSuchMatching:
            return doubts


def _reason(found: _Found) -> str:
    how = "cannot be asked for in smaller parts" if found.size else "is not answered"
    return f"the archive cuts its answers short, this one after {found.size} studies, and it {how}: there may be more"


def _thirds(period: Period, middle: int, limits: tuple[int, int]) -> list[Period]:
    """What is before the middle, the middle, and what is after it."""
    first, last = period
    parts: list[Period] = []
    if middle > (limits[0] if first is None else first):
        parts.append((first, middle - 1))
    parts.append((middle, middle))
    if middle < (limits[1] if last is None else last):
        parts.append((middle + 1, last))
    return parts


def _is_within(value: int, period: Period) -> bool:
    first, last = period
    return (first is None or first <= value) and (last is None or value <= last)


def _middle(known: Counter[int], period: Period, usual: tuple[int, int], limits: tuple[int, int]) -> int:
    """Half of what is known lies before it; where nothing is known, the middle of the period."""
    values = sorted(value for value in known if _is_within(value, period))
    if values:
        half, seen = sum(known[value] for value in values) / 2, 0
        for value in values:
            seen += known[value]
            if seen >= half:
                return value
    first, last = period
    low, high = usual
    if first is not None and first > high:
        high = limits[1]
    if last is not None and last < low:
        low = limits[0]
    return ((low if first is None else first) + (high if last is None else last)) // 2


def _study_date(first: int | None, last: int | None) -> dict[str, str]:
    if first is None and last is None:
        return {}
    texts = ["" if day is None else datetime.date.fromordinal(day).strftime("%Y%m%d").rjust(8, "0") for day in (first, last)]
    return {"StudyDate": texts[0] if first == last else "-".join(texts)}


def _times(first: int | None, last: int | None) -> str:
    """The first without zeros at its end: to archives that compare text, what stops at the hour lies behind it, too."""
    return "-".join((re.sub("(?<=..)(00){1,2}$", "", _time(first or 0)), f"{_time(last or 0)}.999999"))


def _time(second: int) -> str:
    return f"{second // 3600:02}{second // 60 % 60:02}{second % 60:02}"


def _named(keys: Mapping[str, str]) -> str:
    """Of dates and times alone: others would tell of patients."""
    return ", ".join(f"{key}={keys[key]}" for key in ("StudyDate", "StudyTime") if key in keys)
