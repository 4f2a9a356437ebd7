"""Generated parts of files that are otherwise written by hand: the text between two comments."""

from __future__ import annotations


def replaced(text: str, begin: str, end: str, made: str) -> str:
    """The text with what is between the two comments replaced; both stay.

    Raises:
        SystemExit: the text does not have both of them, or has the first more than once.
    """
    if text.count(begin) != 1 or end not in text.partition(begin)[2]:
        raise SystemExit(f"a page lacks the comments around its generated part: {begin} ... {end}")
    before, _, rest = text.partition(begin)
    return f"{before}{begin}{made}{end}{rest.partition(end)[2]}"
