"""What a check takes out of a log and out of a status."""

from __future__ import annotations

import pytest

from sparkrig.checks.kinds.matching import error_text, telling_line

TRACE = """\
26/11/23 22:58:34 INFO SparkContext: Running
Exception in thread "main" java.io.IOException: Cannot run program "python3": error=2, No such file or directory
\tat java.base/java.lang.ProcessBuilder.start(ProcessBuilder.java:1143)
\tat org.apache.spark.deploy.PythonRunner$.main(PythonRunner.scala:103)
Caused by: java.io.IOException: error=2, No such file or directory
\tat java.base/java.lang.ProcessImpl.forkAndExec(Native Method)
\t... 12 more
26/11/23 22:58:35 INFO ShutdownHookManager: Shutdown hook called
26/11/23 22:58:35 INFO ShutdownHookManager: Deleting directory /tmp/spark-1
"""
PYTHON = """\
Traceback (most recent call last):
  File "/app/main.py", line 3, in <module>
    raise ValueError("no such shop")
ValueError: no such shop
bye
"""


@pytest.mark.parametrize(
    ("log", "line"),
    [
        (
            TRACE,
            (
                "IOException: error=2, No such file or directory, so: Exception in thread "
                '"main" IOException: Cannot run program "python3": error=2, No such file or directory'
            ),
        ),
        ("Caused by: nobody\n", "Caused by: nobody"),
        (PYTHON, "ValueError: no such shop"),
        ("error: first\nall well\nfatal: second\nstopped\n", "fatal: second"),
        ("E1123 panic: runtime gone\n\n\n", "E1123 panic: runtime gone"),
        ("one\nterror is no word of ours\n", "terror is no word of ours"),
        ("\n \n", ""),
        ("", ""),
    ],
)
def test_the_line_that_says_why(log: str, line: str) -> None:
    assert telling_line(log) == line


@pytest.mark.parametrize(
    ("found", "text"),
    [
        ({"status": {"applicationState": {"state": "FAILED", "errorMessage": "no image"}}}, "no image"),
        ({"status": {"conditions": [{"type": "Ready", "message": ""}, {"message": "quota"}]}}, "quota"),
        ({"status": {"message": 7}}, ""),
        ({"status": None}, ""),
        ({}, ""),
    ],
)
def test_what_a_controller_says(found: dict[str, object], text: str) -> None:
    assert error_text(found) == text
