"""What an earlier look has proven: when it still holds, when it does not, and what is written of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.records import desired, state

from sparkrig.commands.unchanged import Proven
from sparkrig.models.objects import ObjectRef
from sparkrig.models.release import ObservedRelease

SERVICE = ObjectRef("", "v1", "Service", "web", "front")
SECRET = ObjectRef("", "v1", "Secret", "web", "hidden")
STATE = state(desired("web", namespace="web"), helm_revision=3)
FOUND = ObservedRelease("web", "web", 3, "deployed", "lab", modified="2026-05-04T10:00:00Z")


def live(**versions: str) -> dict[ObjectRef, dict[str, Any]]:
    """Both objects, with ``front`` and ``hidden`` in the versions given."""
    return {
        ref: {"metadata": {"uid": f"uid-{ref.name}", "resourceVersion": versions.get(ref.name, "1")}, "data": "hunter2"}
        for ref in (SERVICE, SECRET)
    }


def proven(
    folder: Path, objects: dict[ObjectRef, dict[str, Any]], server: str = "https://a", stack: str = "s"
) -> Proven:
    return Proven(folder, server, stack, objects.get)


@pytest.fixture
def learned(tmp_path: Path) -> Path:
    one = proven(tmp_path, live())
    assert not one.holds(STATE, FOUND)
    one.learn(STATE, FOUND, [SERVICE, SECRET])
    one.save()
    return tmp_path


def test_it_holds_while_nothing_changes(learned: Path) -> None:
    assert proven(learned, live()).holds(STATE, FOUND)


@pytest.mark.parametrize(
    "objects",
    [
        live(front="2"),
        live(hidden="2"),
        {SERVICE: live()[SERVICE]},
        {**live(), SERVICE: {"metadata": {"uid": "another", "resourceVersion": "1"}}},
    ],
    ids=["a version", "a Secret's version", "one is gone", "one is made anew"],
)
def test_it_does_not_hold_for_other_objects(learned: Path, objects: dict[ObjectRef, dict[str, Any]]) -> None:
    assert not proven(learned, objects).holds(STATE, FOUND)


@pytest.mark.parametrize(
    "found",
    [
        None,
        ObservedRelease("web", "web", 4, "deployed", "lab", modified=FOUND.modified),
        ObservedRelease("web", "web", 3, "deployed", "lab", modified="2026-05-05T10:00:00Z"),
    ],
    ids=["no release", "another revision", "the same name and revision, made later"],
)
def test_it_does_not_hold_for_another_release(learned: Path, found: ObservedRelease | None) -> None:
    assert not proven(learned, live()).holds(STATE, found)


def test_another_cluster_or_stack_knows_nothing_of_it(learned: Path) -> None:
    assert not proven(learned, live(), server="https://b").holds(STATE, FOUND)
    assert not proven(learned, live(), stack="t").holds(STATE, FOUND)


def test_what_is_written_says_nothing_of_contents(learned: Path) -> None:
    (file,) = learned.iterdir()
    assert "hunter2" not in file.read_text()
    assert json.loads(file.read_text())["format"] == 1


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", '{"format": 2, "components": {}}', '{"format": 1, "components": {"web": {"release": 3}}}',
     '{"format": 1, "components": {"web": {"release": ["web", "web", 3, "2026-05-04T10:00:00Z"], "objects": [[1]]}}}',
     '{"format": 1, "components": {"web": 1}}'],
)  # fmt: skip
def test_a_damaged_file_proves_nothing_and_is_written_anew(learned: Path, text: str) -> None:
    (file,) = learned.iterdir()
    file.write_text(text)
    again = proven(learned, live())
    assert not again.holds(STATE, FOUND)
    again.learn(STATE, FOUND, [SERVICE])
    again.save()
    assert proven(learned, live()).holds(STATE, FOUND)


def test_an_object_that_is_not_known_is_not_learned(tmp_path: Path) -> None:
    one = proven(tmp_path, {SERVICE: live()[SERVICE]})
    one.learn(STATE, FOUND, [SERVICE, SECRET])
    one.save()
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written_is_no_failure(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    one = proven(tmp_path / "file", live())
    one.learn(STATE, FOUND, [SERVICE])
    one.save()
    assert one.holds(STATE, FOUND)
