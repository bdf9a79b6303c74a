"""The number words of the tiny vocabulary: the integers from 0 to 99, one token each."""

from __future__ import annotations

from typing import Final

__all__ = ["NUMERALS", "NUMERAL_MAX"]

NUMERAL_MAX: Final = 99
NUMERALS: Final = tuple(str(number) for number in range(NUMERAL_MAX + 1))
