"""Reads ``tools/<folder>/tool.yaml``. Adding a tool is adding a folder; no Python changes."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path
from typing import Any

from sparkrig.errors import NotFound, ToolError
from sparkrig.tools.model import Download, ToolSpec, Wheel

SHA256 = re.compile(r"[0-9a-f]{64}")
SHA512 = re.compile(r"[0-9a-f]{128}")


@lru_cache(maxsize=8)
def load_specs(tools_dir: Path) -> Mapping[str, ToolSpec]:
    """Return every tool of the folder by name, in alphabetical order of the folders.

    Raises:
        ToolError: a tool.yaml is not as documented.
    """
    specs: dict[str, ToolSpec] = {}
    for file in sorted(tools_dir.glob("*/tool.yaml")):
        for spec in _load(file):
            if spec.name in specs:
                raise ToolError(f"{file}: {spec.name} is also in {specs[spec.name].folder / 'tool.yaml'}")
            specs[spec.name] = spec
    return specs


def spec_of(name: str, tools_dir: Path) -> ToolSpec:
    """Return the tool of that name.

    Raises:
        NotFound: no tool.yaml names it.
    """
    specs = load_specs(tools_dir)
    if name in specs:
        return specs[name]
    close = get_close_matches(name, specs, 1)
    hint = f"did you mean {close[0]!r}?" if close else f"tools there: {', '.join(specs) or 'none'}"
    raise NotFound(f"there is no tool {name!r} in {tools_dir}", hint=hint)


def group_of(spec: ToolSpec, tools_dir: Path) -> tuple[ToolSpec, ...]:
    """Return the tools that are built together with this one, itself included."""
    return tuple(s for s in load_specs(tools_dir).values() if s.folder == spec.folder and s.group == spec.group)


def _load(file: Path) -> list[ToolSpec]:
    import yaml

    try:
        document = yaml.safe_load(file.read_text(encoding="utf-8"))
        return [_spec(file, document, name, entry) for name, entry in document["binaries"].items()]
    except (KeyError, TypeError, AttributeError, ValueError, re.error, yaml.YAMLError) as error:
        raise ToolError(f"{file} is not as docs/tools.md describes it: {type(error).__name__}: {error}") from None


def _spec(file: Path, document: Mapping[str, Any], name: str, entry: Mapping[str, Any]) -> ToolSpec:
    version = str(document["version"])
    major, minor, _patch = version.split(".", 2)
    pattern = re.compile(entry["version"]["pattern"], re.MULTILINE)
    if pattern.groups != 1:
        raise ValueError(f"binaries.{name}.version.pattern needs exactly one group")
    return ToolSpec(
        name=name,
        version=version,
        folder=file.parent,
        package=entry["package"],
        ldflags=str(document.get("ldflags", "")).format(version=version, major=major, minor=minor),
        version_command=tuple(str(a) for a in entry["version"]["command"]),
        version_pattern=pattern,
        group=str(entry.get("group", name)),
        digest=_digest(file.parent, document),
        tags=str(document.get("tags", "")),
        downloads={p: _download(p, d, version) for p, d in (entry.get("downloads") or {}).items()},
        wheels={p: _wheel(p, w) for p, w in (entry.get("wheels") or {}).items()},
        build_s=float(document.get("buildSeconds", 0)),
    )


def _download(platform: str, entry: Mapping[str, Any], version: str) -> Download:
    known = {"url", "sha256", "sha512", "checksums", "member", "megabytes"}
    if unknown := set(entry) - known:
        raise ValueError(f"downloads.{platform} has no field {', '.join(sorted(unknown))}")
    sha256, sha512 = (str(entry.get(name, "")).lower() for name in ("sha256", "sha512"))
    if sha256 and not SHA256.fullmatch(sha256):
        raise ValueError(f"downloads.{platform}.sha256 is not 64 hexadecimal digits")
    if sha512 and not SHA512.fullmatch(sha512):
        raise ValueError(f"downloads.{platform}.sha512 is not 128 hexadecimal digits")
    checksums = str(entry.get("checksums", "")).format(version=version)
    if checksums and not checksums.startswith(("https://", "http://127.0.0.1:")):
        raise ValueError(f"downloads.{platform}.checksums must begin with https://")
    if not (sha256 or sha512 or checksums):
        raise ValueError(f"downloads.{platform} needs sha256, sha512 or checksums")
    return Download(
        url=str(entry["url"]).format(version=version),
        digest=sha512 or sha256,
        checksums=checksums,
        member=str(entry["member"]).format(version=version) if "member" in entry else None,
        megabytes=int(entry.get("megabytes", 0)),
    )


def _wheel(platform: str, entry: Mapping[str, Any]) -> Wheel:
    sha256 = str(entry["sha256"]).lower()
    if not SHA256.fullmatch(sha256):
        raise ValueError(f"wheels.{platform}.sha256 is not 64 hexadecimal digits")
    members = tuple(str(member) for member in entry["members"])
    return Wheel(str(entry["requirement"]), sha256, members, int(entry.get("megabytes", 0)))


def _digest(folder: Path, document: Mapping[str, Any]) -> str:
    """Over what shapes a build; not over where files are offered, nor comments: those change and no binary does."""
    digest = hashlib.sha256()
    ours = sorted(str(file.relative_to(folder)) for file in folder.rglob("*.go"))
    for name in ("go.mod", "go.sum", *ours):
        file = folder / name
        digest.update(f"{name}\0".encode() + (file.read_bytes() if file.exists() else b"") + b"\0")
    packages = {name: [entry["package"], entry.get("group", name)] for name, entry in document["binaries"].items()}
    shape = [str(document["version"]), document.get("ldflags"), document.get("tags"), packages]
    digest.update(json.dumps(shape, sort_keys=True).encode())
    return digest.hexdigest()[:12]
