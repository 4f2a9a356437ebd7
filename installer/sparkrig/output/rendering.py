"""Rendered manifests as text, as JSON, and as files, one an object. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from sparkrig.commands.render import RenderedStack, Rendering, Varying, key_of
from sparkrig.models.secret import DesiredSecret
from sparkrig.output.document import document
from sparkrig.yaml.plain import dump

_UNFIT: Final = re.compile(r"[^A-Za-z0-9._-]+")


def rendering_text(stack: RenderedStack, *, crds: bool) -> str:
    """All manifests in the order of installation, with comments on what varies."""
    lines = [f"# {_secret(secret)}" for secret in stack.secrets]
    for rendering in stack.components:
        lines.append(f"# component {rendering.component}")
        lines += [f"# varies: {varying}" for varying in rendering.varying]
        lines += [f"---\n{dump(crd).rstrip()}" for crd in rendering.crds] if crds else []
        lines.append(rendering.text.rstrip())
    return "\n".join(lines) + "\n"


def rendering_json(stack: RenderedStack, *, crds: bool) -> dict[str, Any]:
    """The same as a document of kind ``Rendering``."""
    return document(
        "Rendering",
        components=[
            {
                "component": rendering.component,
                "namespace": rendering.namespace,
                "objects": [*(rendering.crds if crds else ()), *rendering.objects],
                "nonDeterministic": [_varying(varying) for varying in rendering.varying],
            }
            for rendering in stack.components
        ],
        secrets=[
            {
                "name": secret.spec.name,
                "type": secret.spec.type,
                "namespaces": [*secret.namespaces, *(namespace for _, namespace in secret.made)],
            }
            for secret in stack.secrets
        ],
    )


def rendering_files(stack: RenderedStack, *, crds: bool) -> dict[str, str]:
    """Relative path -> text: ``COMPONENT/KIND-NAMESPACE-NAME.yaml``, sorted; equal input, equal files."""
    files: dict[str, str] = {}
    for rendering in stack.components:
        for item in [*(rendering.crds if crds else ()), *rendering.objects]:
            path = _free(f"{rendering.component}/{_name(item)}", files)
            notes = "".join(f"# varies: {path}\n" for path in _paths(rendering, item))
            files[path] = notes + dump(item)
    return dict(sorted(files.items()))


def _name(item: Mapping[str, Any]) -> str:
    api_version, kind, namespace, name = key_of(dict(item))
    del api_version
    return "-".join(_UNFIT.sub("_", part) for part in (kind.lower(), namespace, name) if part)


def _free(stem: str, taken: Mapping[str, str]) -> str:
    """The name, or with a number behind it where two objects would share a file."""
    path, number = f"{stem}.yaml", 2
    while path in taken:
        path, number = f"{stem}-{number}.yaml", number + 1
    return path


def _paths(rendering: Rendering, item: Mapping[str, Any]) -> Iterator[str]:
    _, kind, namespace, name = key_of(dict(item))
    for varying in rendering.varying:
        if (varying.kind, varying.namespace, varying.name) == (kind, namespace, name):
            yield varying.path or "the whole object"


def _varying(varying: Varying) -> dict[str, str]:
    return {"kind": varying.kind, "namespace": varying.namespace, "name": varying.name, "path": varying.path}


def _secret(secret: DesiredSecret) -> str:
    places = ", ".join((*secret.namespaces, *(namespace for _, namespace in secret.made)))
    return f"secret {secret.spec.name} ({secret.spec.type}) in {places}: from the stack file, its content is not shown"
