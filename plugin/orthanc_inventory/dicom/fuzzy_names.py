"""Fuzzy semantic matching of person names (PS3.4 C.2.2.2.1.1), as CONFORMANCE.md describes it.

A name is taken as the words of its components. Case, accents, punctuation and the order of words do not matter. A name
matches when each word of the key is found in one component group, each in a word of its own, up to a few typing errors.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

from .wild_cards import compiled, is_pattern

# A word of at least so many letters may differ by so many errors: a letter too much, too few, wrong, or two exchanged.
_ERRORS = ((8, 2), (4, 1))
_WORD = re.compile(r"[^\W_]+")


def fuzzy(name: str) -> Callable[[str], bool]:
    """A test for names like this one; words with ``*`` or ``?`` match as wild cards, the others up to errors."""
    groups = [list(map(_word_test, _words(group, "*?"))) for group in name.split("=")]
    wanted = [group for group in groups if group]

    def matches(value: str) -> bool:
        present = [_words(group) for group in value.split("=")]
        return any(_all_found(tests, words) for tests in wanted for words in present)

    return matches


def _words(group: str, keep: str = "") -> list[str]:
    """The words of a component group in one case, without accents; what joins two letters of a word is left out."""
    decomposed = unicodedata.normalize("NFKD", group.casefold())
    plain = "".join(character for character in decomposed if not unicodedata.combining(character))
    plain = re.sub(r"['’`.-]", "", plain)
    return re.findall(rf"(?:[^\W_]|[{re.escape(keep)}])+" if keep else _WORD, plain)


def _word_test(word: str) -> Callable[[str], bool]:
    if is_pattern(word):
        pattern = compiled(word)
        return lambda other: pattern.fullmatch(other) is not None
    errors = next((errors for length, errors in _ERRORS if len(word) >= length), 0)
    return lambda other: other == word or (errors > 0 and _differs_by(word, other, errors))


def _differs_by(word: str, other: str, most: int) -> bool:
    """Whether the optimal string alignment distance of two words is at most ``most``."""
    if abs(len(word) - len(other)) > most:
        return False
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, letter in enumerate(word, 1):
        above_before, before, row = before, row, [i]
        for j, another in enumerate(other, 1):
            cost = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (letter != another))
            if i > 1 and j > 1 and letter == other[j - 2] and word[i - 2] == another:
                cost = min(cost, above_before[j - 2] + 1)
            row.append(cost)
        if min(row) > most:
            return False
    return row[-1] <= most


def _all_found(tests: list[Callable[[str], bool]], words: list[str]) -> bool:
    """Whether each test can have a word of its own."""
    taken: dict[int, int] = {}  # which test has which word

    def place(test: int, tried: set[int]) -> bool:
        for word, text in enumerate(words):
            if word not in tried and tests[test](text):
                tried.add(word)
                if word not in taken or place(taken[word], tried):
                    taken[word] = test
                    return True
        return False

    return len(tests) <= len(words) and all(place(test, set()) for test in range(len(tests)))
