"""A chart read into memory, from a ``.tgz`` or a folder, without helm.

``digest`` is over what helm would use of the files, so a folder, its package and a package made at
another time agree: names and contents count, modes and times do not, Chart.yaml counts by what it
says, Chart.lock (a record of how charts/ was filled, which is itself counted) does not.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

from sparkrig.helm.charts import dependencies as subcharts_of
from sparkrig.helm.charts.crd_texts import parsed_before
from sparkrig.helm.charts.metadata import Dependency, Metadata, read_metadata
from sparkrig.helm.charts.reading import MAX_ARCHIVE_DEPTH, Budget, read_archive, read_folder
from sparkrig.helm.errors import ChartError
from sparkrig.models.json import JsonDict, JsonObject, JsonValue

_MANIFESTS = (".yaml", ".yml", ".json")
_REQUIREMENTS = ("requirements.yaml", "requirements.lock")
CHARTS_KEPT = 16
"""Archives kept in memory for a run; a large one is a few megabytes."""
CRD_FILES_KEPT = 256
"""Parsed files of CRDs kept for a run."""


@dataclass(frozen=True)
class ChartFiles:
    """One chart with everything in it."""

    where: str
    """The path as given, for messages; of a subchart with its place in the parent."""
    metadata: Metadata
    files: Mapping[str, bytes]
    """Name -> content: all but Chart.yaml, Chart.lock and the subcharts' files."""
    subcharts: tuple[ChartFiles, ...]

    @property
    def name(self) -> str:
        """The chart's name."""
        return self.metadata.name

    @property
    def version(self) -> str:
        """The chart's version."""
        return self.metadata.version

    @property
    def dependencies(self) -> tuple[Dependency, ...]:
        """What Chart.yaml asks for."""
        return self.metadata.dependencies

    @property
    def values_text(self) -> str:
        """values.yaml as written; empty when there is none."""
        return self._text("values.yaml")

    @property
    def schema_text(self) -> str:
        """values.schema.json as written; empty when there is none."""
        return self._text("values.schema.json")

    @cached_property
    def values(self) -> JsonObject:
        """The chart's defaults, parsed."""
        merged: JsonDict = {}
        for document in _load_all(self.values_text, f"{self.where}: values.yaml"):
            if isinstance(document, dict):
                _lay_over(merged, document)
        return merged

    @cached_property
    def digest(self) -> str:
        """``sha256:…`` over the sorted names and contents, subcharts included."""
        total = hashlib.sha256()
        for name, content in sorted(self._entries("")):
            total.update(f"{name}\0{hashlib.sha256(content).hexdigest()}\n".encode())
        return f"sha256:{total.hexdigest()}"

    def crds(self, values: JsonObject) -> list[JsonDict]:
        """Returns what is in crds/ of the chart and of the subcharts that ``values`` leave on.

        Raises:
            InvalidInput: a file is not YAML.
            ChartError: something else than a CRD is in it. Helm would try to create that as well, and fail.
        """
        found: list[JsonDict] = []
        for chart in subcharts_of.enabled_charts(self, values):
            for name in sorted(chart.files):
                if name.startswith("crds/") and name.lower().endswith(_MANIFESTS):
                    where = f"{chart.where}: {name}"
                    found += [_a_crd(item, where) for item in _documents(chart._text(name), where) if item is not None]
        return found

    def require_complete(self) -> None:
        """Refuses a chart, or a subchart, whose dependencies are not in charts/; see ``dependencies``."""
        subcharts_of.require_complete(self, self.where)
        for chart in self.subcharts:
            chart.require_complete()

    def _entries(self, prefix: str) -> Iterator[tuple[str, bytes]]:
        yield f"{prefix}Chart.yaml", self.metadata.canonical
        for name, content in self.files.items():
            yield prefix + name, content
        for chart in self.subcharts:
            yield from chart._entries(f"{prefix}charts/{chart.name}-{chart.version}/")

    def _text(self, name: str) -> str:
        try:
            return self.files.get(name, b"").decode()
        except UnicodeDecodeError as error:
            raise ChartError(f"{self.where}: {name} is not UTF-8 text (byte {error.start})") from error


def read_chart(path: Path, where: str | None = None) -> ChartFiles:
    """Reads a chart archive or folder; ``where`` names it in messages, else its path does.

    Raises:
        ChartError: it is no chart, damaged, unsafe or too large; the message says which and where.
        InvalidInput: Chart.yaml is not YAML.
    """
    where = where or str(path)
    if path.is_dir():
        budget = Budget(where)
        return _build(read_folder(path, budget), where, budget, 0)
    try:
        found = path.stat()
        return _read_file(path, where, (found.st_mtime_ns, found.st_size, found.st_ino))
    except FileNotFoundError as error:
        raise ChartError(f"{path}: there is no such chart archive or folder") from error


@lru_cache(maxsize=CHARTS_KEPT)
def _read_file(path: Path, where: str, stamp: tuple[int, int, int]) -> ChartFiles:
    """An archive, read once in a run: its size and its CRDs are asked for at several places."""
    del stamp  # part of the key only
    budget = Budget(where)
    with path.open("rb") as stream:
        return _build(read_archive(stream, budget), where, budget, 0)


def digest(path: Path) -> str:
    """Returns the content digest of a chart archive or folder; see ``ChartFiles.digest``."""
    return read_chart(path).digest


def crds(path: Path, values: JsonObject) -> list[JsonDict]:
    """Returns the CRDs that an archive or folder brings with these values; see ``ChartFiles.crds``."""
    return read_chart(path).crds(values)


@lru_cache(maxsize=CRD_FILES_KEPT)
def _parsed(text: str, where: str) -> str:
    return parsed_before(text, lambda: _load_all(text, where))


def _documents(text: str, where: str) -> list[JsonValue]:
    """The documents of a file of CRDs, parsed once: preflight, the plan and what applies them all ask.

    JSON in between, because everybody gets objects of his own, and reading it takes a twentieth of reading YAML.
    """
    documents: list[JsonValue] = json.loads(_parsed(text, where))
    return documents


def _a_crd(item: JsonValue, where: str) -> JsonDict:
    if isinstance(item, dict) and item.get("kind") == "CustomResourceDefinition":
        if isinstance(item.get("metadata"), dict) and isinstance(item["metadata"].get("name"), str):
            return item
        raise ChartError(f"{where}: a CustomResourceDefinition without metadata.name")
    kind = item.get("kind") if isinstance(item, dict) else type(item).__name__
    raise ChartError(
        f"{where}: crds/ is for CustomResourceDefinitions, this is a {kind}",
        hint="leave the file out of the chart (.helmignore), or move it to templates/",
    )


def _build(files: Mapping[str, bytes], where: str, budget: Budget, depth: int) -> ChartFiles:
    if "Chart.yaml" not in files:
        raise ChartError(f"{where}: no Chart.yaml in it, so it is no chart")
    document = _one(files, "Chart.yaml", where)
    requirements = _one(files, "requirements.yaml", where) if "requirements.yaml" in files else None
    metadata = read_metadata(document, requirements, where)
    own: dict[str, bytes] = {}
    nested: dict[str, dict[str, bytes]] = {}
    for name, content in files.items():
        if name.startswith("charts/") and not name.endswith(".prov"):
            first, _, rest = name.removeprefix("charts/").partition("/")
            nested.setdefault(first, {})[rest] = content
        elif name not in ("Chart.yaml", "Chart.lock") and not (metadata.api_version != "v1" and name in _REQUIREMENTS):
            own[name] = content
    charts = [
        _subchart(first, content, where, budget, depth)
        for first, content in sorted(nested.items())
        if not first.startswith(("_", "."))
    ]
    return ChartFiles(where, metadata, own, tuple(charts))


def _subchart(name: str, files: Mapping[str, bytes], where: str, budget: Budget, depth: int) -> ChartFiles:
    place = f"{where}: charts/{name}"
    if depth >= MAX_ARCHIVE_DEPTH:
        raise ChartError(f"{place}: charts within charts, deeper than {MAX_ARCHIVE_DEPTH}")
    if name.endswith(".tgz"):
        return _build(read_archive(io.BytesIO(files[""]), budget), place, budget, depth + 1)
    return _build({rest: content for rest, content in files.items() if rest}, place, budget, depth + 1)


def _one(files: Mapping[str, bytes], name: str, where: str) -> JsonValue:
    documents = _load_all(files[name], f"{where}: {name}")
    return documents[0] if documents else None


def _load_all(text: str | bytes, where: str) -> list[JsonValue]:
    from sparkrig.yaml.plain import load_plain_all

    return load_plain_all(text, where)


def _lay_over(below: JsonDict, above: JsonObject) -> None:
    for key, value in above.items():
        if isinstance(value, dict) and isinstance(own := below.get(key), dict):
            _lay_over(own, value)
        else:
            below[key] = value
