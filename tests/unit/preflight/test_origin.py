"""Which line of the stack file a refusal of the API server is led back to."""

from __future__ import annotations

from pathlib import Path

import pytest

from sparkrig.preflight.finding import fail
from sparkrig.preflight.origin import origin
from sparkrig.stack.file import load_stack_file

STACK = """\
apiVersion: sparkrig.dev/v1
kind: Stack
metadata: {name: lab}
components:
  db:
    values:
      volume: {storageClassName: fast, size: 2Gi}
      cache: {size: 1Gi}
      selector: {app: x}
"""


@pytest.mark.parametrize(
    ("code", "message", "told"),
    [
        ("immutable", "StatefulSet d/db cannot be changed: spec.storageClassName: may not change", "set at {}:7:34"),
        ("immutable", 'Pod d/p: spec.containers[name="main"].storageClassName[0]: no', "set at {}:7:34"),
        ("refused-object", "PersistentVolumeClaim d/x is refused: spec.resources.size: no", "component db at {}:5:3"),
        ("refused-object", "PersistentVolumeClaim d/x is refused: only claims of others", "component db at {}:5:3"),
        ("conflict", "Deployment d/x: spec.selector.app is y, set by kubectl", "set at {}:9:23"),
        ("quota", "namespace d: spec.storageClassName", ""),
    ],
)
def test_where_a_refusal_comes_from(code: str, message: str, told: str, tmp_path: Path) -> None:
    file = tmp_path / "stack.yaml"
    file.write_text(STACK, encoding="utf-8")
    entry = load_stack_file(file).components["db"]
    finding = fail(code, "db", message)
    assert origin(finding, entry) == told.format(entry.position.file)
    assert origin(finding, None) == ""
