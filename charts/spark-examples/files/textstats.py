"""The module that wordcount.py depends on."""

import re

SAMPLE = [
    "a driver asks for executors, and executors ask for work",
    "work goes where the data is, and the data goes where the work is",
    "what an executor lost another one counts again",
] * 100


def words(line: str) -> list[str]:
    """The words of a line, in lower case."""
    return re.findall(r"[a-z]+", line.lower())
