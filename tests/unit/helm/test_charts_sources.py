"""Where charts come from, and what is said when they do not."""

from __future__ import annotations

import hashlib
import json
import shutil
import tarfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from sparkrig import tools
from sparkrig.errors import NotFound, SparkrigError
from sparkrig.helm.charts.archive import digest
from sparkrig.helm.charts.sources import ChartStore
from sparkrig.helm.client import HelmClient
from sparkrig.helm.errors import ChartError
from sparkrig.models.chart import ChartOrigin
from sparkrig.models.component import ChartRef

ENTRY = """\
  - apiVersion: v2
    created: "2026-01-01T00:00:00Z"
    description: says version 9.9.9 and more
    digest: {digest}
    maintainers:
    - name: somebody
    name: {name}
    urls:
    - {url}
    version: {version}
"""


def make_chart(folder: Path, name: str, version: str, text: str = "x: 1\n") -> Path:
    """Writes a chart folder."""
    folder.mkdir(parents=True)
    (folder / "Chart.yaml").write_text(f"apiVersion: v2\nname: {name}\nversion: {version}\nappVersion: '7'\n")
    (folder / "values.yaml").write_text(text)
    return folder


def pack(folder: Path, to: Path) -> Path:
    """Packs a chart folder."""
    to.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(to, "w:gz") as archive:
        archive.add(folder, "chart")
    return to


@dataclass
class Site:
    """A web server on loopback; ``files`` is what it has, ``seen`` what was asked for."""

    url: str
    files: dict[str, bytes] = field(default_factory=dict)
    redirects: dict[str, str] = field(default_factory=dict)
    seen: list[tuple[str, int]] = field(default_factory=list)

    def publish(self, folder: Path, tmp: Path, entries: dict[str, list[str]], digest_of: str | None = None) -> None:
        """Puts an index and the archives of charts NAME -> versions on the site."""
        index = ["apiVersion: v1", "entries:"]
        for name, versions in entries.items():
            index.append(f"  {name}:")
            for version in versions:
                archive = pack(make_chart(folder / f"{name}-{version}", name, version), tmp / "site.tgz")
                data = archive.read_bytes()
                self.files[f"/charts/{name}-{version}.tgz"] = data
                sha = digest_of or hashlib.sha256(data).hexdigest()
                entry = ENTRY.format(name=name, version=version, url=f"charts/{name}-{version}.tgz", digest=sha)
                index.append(entry.rstrip())
        self.files["/index.yaml"] = ("\n".join([*index, 'generated: "2026-01-01T00:00:00Z"']) + "\n").encode()


@pytest.fixture
def site() -> Iterator[Site]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if target := place.redirects.get(self.path):
                self.answer(302, b"", ("Location", target))
                return
            data = place.files.get(self.path)
            if data is None:
                self.answer(404, b"no")
                return
            tag = f'"{hashlib.sha256(data).hexdigest()}"'
            fresh = self.headers.get("If-None-Match") == tag
            self.answer(304 if fresh else 200, b"" if fresh else data, ("ETag", tag))

        def answer(self, status: int, data: bytes, *headers: tuple[str, str]) -> None:
            place.seen.append((self.path, status))
            self.send_response(status)
            for name, value in (*headers, ("Content-Length", str(len(data)))):
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        place = Site(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield place
        server.shutdown()
        thread.join()


@pytest.fixture
def store(tmp_path: Path) -> ChartStore:
    return ChartStore(tmp_path / "cache")


def message_of(store: ChartStore, ref: ChartRef, kind: type[SparkrigError] = NotFound) -> str:
    with pytest.raises(kind) as error:
        store.fetch(ref)
    return error.value.message


# ------------------------------------------------------------------ repository


def test_chart_from_a_repository_is_fetched_once(site: Site, store: ChartStore, tmp_path: Path) -> None:
    site.publish(tmp_path / "charts", tmp_path, {"other": ["1.0.0"], "traefik": ["41.3.0", "41.2.0"]})
    ref = ChartRef("traefik", "41.2.0", site.url)
    chart = store.fetch(ref)
    assert (chart.name, chart.version, chart.app_version, chart.origin) == (
        "traefik",
        "41.2.0",
        "7",
        ChartOrigin.REPOSITORY,
    )
    assert chart.digest == digest(tmp_path / "charts" / "traefik-41.2.0")
    assert chart.path.read_bytes() == site.files["/charts/traefik-41.2.0.tgz"]
    assert site.seen == [("/index.yaml", 200), ("/charts/traefik-41.2.0.tgz", 200)]
    assert ChartStore(tmp_path / "cache").fetch(ref) == chart
    assert len(site.seen) == 2


def test_index_is_kept_by_its_etag(site: Site, store: ChartStore, tmp_path: Path) -> None:
    site.publish(tmp_path / "charts", tmp_path, {"traefik": ["41.3.0", "41.2.0"]})
    store.fetch(ChartRef("traefik", "41.3.0", site.url))
    store.fetch(ChartRef("traefik", "41.2.0", site.url + "/"))
    assert [entry for entry in site.seen if entry[0] == "/index.yaml"] == [("/index.yaml", 200), ("/index.yaml", 304)]


def test_damaged_copy_in_the_cache_is_fetched_again(site: Site, store: ChartStore, tmp_path: Path) -> None:
    site.publish(tmp_path / "charts", tmp_path, {"traefik": ["41.3.0"]})
    ref = ChartRef("traefik", "41.3.0", site.url)
    chart = store.fetch(ref)
    chart.path.write_bytes(b"half of")
    assert store.fetch(ref) == chart
    assert site.seen.count(("/charts/traefik-41.3.0.tgz", 200)) == 2


@pytest.mark.parametrize("layout", ["json", "indented"])
def test_index_in_another_layout(site: Site, store: ChartStore, tmp_path: Path, layout: str) -> None:
    site.publish(tmp_path / "charts", tmp_path, {"traefik": ["41.3.0"]})
    entry = {"name": "traefik", "version": "41.3.0", "urls": ["charts/traefik-41.3.0.tgz"]}
    text = json.dumps({"apiVersion": "v1", "entries": {"traefik": [entry]}}, indent=2 if layout == "indented" else None)
    site.files["/index.yaml"] = text.encode()
    assert store.fetch(ChartRef("traefik", "41.3.0", site.url)).version == "41.3.0"
    assert "nearest: 41.3.0" in message_of(store, ChartRef("traefik", "41.4.0", site.url))


def test_redirects_are_followed(site: Site, store: ChartStore, tmp_path: Path) -> None:
    site.publish(tmp_path / "charts", tmp_path, {"traefik": ["41.3.0"]})
    site.redirects = {"/old/index.yaml": "/index.yaml"}
    site.files["/old/charts/traefik-41.3.0.tgz"] = site.files["/charts/traefik-41.3.0.tgz"]
    assert store.fetch(ChartRef("traefik", "41.3.0", f"{site.url}/old")).version == "41.3.0"


def test_absent_version_lists_the_nearest(site: Site, store: ChartStore, tmp_path: Path) -> None:
    site.publish(tmp_path / "charts", tmp_path, {"traefik": ["41.3.0", "41.4.0-rc.1", "40.0.0", "41.2.0"]})
    assert message_of(store, ChartRef("traefik", "41.3.9", site.url)) == (
        f"chart traefik has no version 41.3.9 in {site.url}; nearest: 41.3.0, 41.2.0, 40.0.0, 41.4.0-rc.1"
    )


def test_absent_name_suggests_one(site: Site, store: ChartStore, tmp_path: Path) -> None:
    site.publish(tmp_path / "charts", tmp_path, {"traefik": ["41.3.0"], "other": ["1.0.0"]})
    assert message_of(store, ChartRef("treafik", "41.3.0", site.url)) == (
        f"there is no chart treafik in {site.url}; did you mean traefik?"
    )


def test_archive_that_is_not_what_the_index_says(site: Site, store: ChartStore, tmp_path: Path) -> None:
    site.publish(tmp_path / "charts", tmp_path, {"traefik": ["41.3.0"]}, digest_of="ab" * 32)
    found = hashlib.sha256(site.files["/charts/traefik-41.3.0.tgz"]).hexdigest()
    assert message_of(store, ChartRef("traefik", "41.3.0", site.url), ChartError) == (
        f"chart traefik 41.3.0 from {site.url}/charts/traefik-41.3.0.tgz: "
        f"expected sha256 {'ab' * 32} as in the index, found {found}"
    )
    assert not list((tmp_path / "cache").rglob("*.tgz"))


def test_archive_of_another_chart_is_not_kept(site: Site, store: ChartStore, tmp_path: Path) -> None:
    site.publish(tmp_path / "charts", tmp_path, {"traefik": ["41.3.0"]})
    site.files["/index.yaml"] = (
        site.files["/index.yaml"].replace(b"traefik", b"renamed").replace(b"charts/renamed", b"charts/traefik")
    )
    message = message_of(store, ChartRef("renamed", "41.3.0", site.url), ChartError)
    assert message == f"{site.url}: expected chart renamed 41.3.0, found traefik 41.3.0"
    assert not list((tmp_path / "cache").rglob("*.tgz"))


def test_unreachable_repository_says_host_reason_and_way_out(site: Site, store: ChartStore) -> None:
    with pytest.raises(NotFound) as error:
        store.fetch(ChartRef("traefik", "41.3.0", "http://user:password@127.0.0.1:1/charts"))
    assert error.value.message == (
        "the index cannot be fetched: chart repository 127.0.0.1 is not reachable ([Errno 111] Connection refused)"
    )
    assert error.value.hint is not None
    assert "--chart-mirror DIR" in error.value.hint
    message = message_of(store, ChartRef("traefik", "41.3.0", site.url.replace("//", "//user:password@")))
    assert message == f"the index cannot be fetched: {site.url}/index.yaml answers 404 Not Found"


def test_unreachable_registry(tmp_path: Path) -> None:
    client = HelmClient(tools.find("helm").path)
    store = ChartStore(tmp_path / "cache", helm=client)
    with pytest.raises(NotFound, match=r"pull of oci://127\.0\.0\.1:1/charts/traefik 41\.3\.0: .*refused") as error:
        store.fetch(ChartRef("traefik", "41.3.0", "oci://127.0.0.1:1/charts"))
    assert error.value.hint is not None
    assert "--chart-mirror DIR" in error.value.hint
    client.close()


def test_repository_that_is_none(store: ChartStore) -> None:
    assert "neither https://, http:// nor oci://" in message_of(store, ChartRef("traefik", "1.0.0", "ftp://x/y"))
    assert message_of(store, ChartRef("../x", "1.0.0", "https://x.invalid")) == "'../x' cannot be a chart's name"


# ------------------------------------------------------------------ mirror, stand-ins, local


@pytest.fixture
def mirror(tmp_path: Path) -> Path:
    folder = tmp_path / "mirror"
    make_chart(folder / "some-folder", "traefik", "41.3.0")
    pack(make_chart(tmp_path / "a", "traefik", "41.2.0"), folder / "traefik-41.2.0.tgz")
    pack(make_chart(tmp_path / "b", "renamed", "v1.0.0"), folder / "download.tgz")
    (folder / "notes.txt").write_text("not a chart")
    return folder


def test_mirror_serves_folders_and_archives(tmp_path: Path, mirror: Path) -> None:
    (tmp_path / "empty").mkdir()
    store = ChartStore(tmp_path / "cache", mirror=[tmp_path / "empty", mirror])
    nowhere = "https://charts.example.invalid"
    refs = [ChartRef("traefik", v, nowhere) for v in ("41.3.0", "41.2.0")] + [ChartRef("renamed", "1.0.0", nowhere)]
    charts = [store.fetch(ref) for ref in refs]
    names = [str(chart.path.relative_to(mirror)) for chart in charts]
    assert names == ["some-folder", "traefik-41.2.0.tgz", "download.tgz"]
    assert {chart.origin for chart in charts} == {ChartOrigin.MIRROR}


def test_what_a_mirror_lacks(site: Site, tmp_path: Path, mirror: Path) -> None:
    site.publish(tmp_path / "charts", tmp_path, {"traefik": ["41.3.9"], "jupyterhub": ["4.4.0"]})
    store = ChartStore(tmp_path / "cache", mirror=[mirror])
    assert message_of(store, ChartRef("traefik", "41.3.9", site.url)) == (
        f"chart traefik 41.3.9 is not in the mirror {mirror}; of traefik it has 41.3.0, 41.2.0"
    )
    assert message_of(store, ChartRef("jupyterhub", "4.4.0", site.url)) == (
        f"chart jupyterhub 4.4.0 is not in the mirror {mirror}; it has no chart jupyterhub"
    )
    assert site.seen == []
    missing = ChartStore(tmp_path / "cache", mirror=[tmp_path / "nothing"])
    assert message_of(missing, ChartRef("traefik", "1.0.0", site.url)) == (
        f"--chart-mirror {tmp_path / 'nothing'}: there is no such folder"
    )


def test_stand_ins_serve_only_what_they_stand_in_for(site: Site, tmp_path: Path, mirror: Path) -> None:
    make_chart(tmp_path / "stand-ins" / "jupyterhub", "jupyterhub", "4.4.0-standin")
    store = ChartStore(tmp_path / "cache", mirror=[mirror], stand_ins=tmp_path / "stand-ins")
    chart = store.fetch(ChartRef("jupyterhub", "4.4.0", site.url))
    assert (chart.version, chart.stand_in) == ("4.4.0-standin", True)
    assert store.fetch(ChartRef("traefik", "41.3.0", site.url)).origin is ChartOrigin.MIRROR
    assert message_of(store, ChartRef("jupyterhub", "4.5.0", site.url)) == (
        f"the stand-in for chart jupyterhub in {tmp_path / 'stand-ins'} is 4.4.0-standin, expected 4.5.0-standin"
    )


def test_nothing_falls_back_to_stand_ins(tmp_path: Path) -> None:
    folder = tmp_path / "stand-ins"
    make_chart(folder / "jupyterhub", "jupyterhub", "4.4.0-standin")
    store = ChartStore(tmp_path / "cache", mirror=[folder])
    assert "of jupyterhub it has 4.4.0-standin" in message_of(
        store, ChartRef("jupyterhub", "4.4.0", "http://x.invalid")
    )


def test_local_chart_must_be_the_one_the_component_names(tmp_path: Path, store: ChartStore) -> None:
    folder = make_chart(tmp_path / "triton", "triton", "0.1.0")
    assert store.fetch(ChartRef("triton", "0.1.0", path=folder)).origin is ChartOrigin.LOCAL
    assert message_of(store, ChartRef("triton", "0.2.0", path=folder), ChartError) == (
        f"{folder}: expected chart triton 0.2.0, found triton 0.1.0"
    )


def test_local_chart_without_its_dependencies(tmp_path: Path, store: ChartStore) -> None:
    folder = make_chart(tmp_path / "app", "app", "1.0.0")
    with (folder / "Chart.yaml").open("a") as file:
        file.write("dependencies: [{name: db, version: 1.x, repository: https://x.invalid}]\n")
    message = message_of(store, ChartRef("app", "1.0.0", path=folder), ChartError)
    assert message == f"{folder}: chart app needs db 1.x, and its charts/ folder does not have it"


def test_change_of_a_folder_changes_the_digest(tmp_path: Path, store: ChartStore) -> None:
    folder = make_chart(tmp_path / "app", "app", "1.0.0")
    ref = ChartRef("app", "1.0.0", path=folder)
    before = store.fetch(ref).digest
    (folder / "values.yaml").write_text("x: 22\n")
    assert store.fetch(ref).digest == digest(folder) != before


def test_lost_or_broken_memory_costs_time_only(tmp_path: Path) -> None:
    folder = make_chart(tmp_path / "app", "app", "1.0.0")
    ref = ChartRef("app", "1.0.0", path=folder)
    chart = ChartStore(tmp_path / "cache").fetch(ref)
    (tmp_path / "cache" / "identities.json").write_text("{half")
    assert ChartStore(tmp_path / "cache").fetch(ref) == chart
    shutil.rmtree(tmp_path / "cache")
    assert ChartStore(tmp_path / "cache").fetch(ref) == chart


def test_known_charts_are_fetched_in_no_time(tmp_path: Path) -> None:
    refs = []
    for number in range(8):
        text = "".join(f"key{line}: {'v' * 60}\n" for line in range(5000))
        make_chart(tmp_path / "m" / f"c{number}", f"c{number}", "1.0.0", text)
        refs.append(ChartRef(f"c{number}", "1.0.0", "https://x.invalid"))
    first = ChartStore(tmp_path / "cache", mirror=[tmp_path / "m"])
    assert len([first.fetch(ref) for ref in refs]) == 8
    began = time.process_time()
    assert len([ChartStore(tmp_path / "cache", mirror=[tmp_path / "m"]).fetch(ref) for ref in refs]) == 8
    assert time.process_time() - began < 0.1
