"""Text in the character sets that Specific Character Set (0008,0005) names (PS3.3 C.12.1.1.2, PS3.5 6.1).

A value is decoded as a whole before it is taken apart: in several character sets the second byte of a letter can be that of
a backslash.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from pydicom.charset import CODES_TO_ENCODINGS, python_encoding

UTF_8 = "ISO_IR 192"

_ESCAPE = b"\x1b"
_DEFAULT = ("", "ISO_IR 6", "ISO 2022 IR 6")
# Python's codecs of these know the escape sequences themselves.
_WITH_ESCAPES = ("iso2022_jp", "iso2022_jp_2")


def is_supported(terms: Sequence[str]) -> bool:
    return all(term in python_encoding for term in terms)


def decode(value: bytes, terms: Sequence[str]) -> str:
    """The text of a value whose data set names these character sets; no term is the default repertoire.

    Raises:
        UnicodeError: the bytes are none of these character sets.
    """
    first = "ascii" if not terms or terms[0] in _DEFAULT else python_encoding[terms[0]]
    if _ESCAPE not in value:
        return value.decode(first)
    return "".join(_decode_part(part, first) for part in re.findall(rb"\A[^\x1b]+|\x1b[^\x1b]*", value))


def _decode_part(part: bytes, first: str) -> str:
    """A part that begins with an escape sequence, or the first one without (PS3.5 6.1.2.5)."""
    if not part.startswith(_ESCAPE):
        return part.decode(first)
    escape = part[: 4 if part[1:3] in (b"$(", b"$)") else 3]
    codec = CODES_TO_ENCODINGS.get(escape)
    if codec is None:
        raise UnicodeDecodeError(first, part, 0, len(escape), "unknown escape sequence")
    return part.decode(codec) if codec in _WITH_ESCAPES else part[len(escape) :].decode(codec)
