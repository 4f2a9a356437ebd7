"""Charts are read as helm reads them, and nothing hostile gets out of an archive."""

from __future__ import annotations

import base64
import gzip
import io
import json
import os
import random
import shutil
import string
import subprocess
import tarfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from sparkrig import tools
from sparkrig.errors import SparkrigError
from sparkrig.helm.charts.archive import crds, digest, read_chart
from sparkrig.helm.charts.reading import MAX_CHART_BYTES, Budget, read_folder
from sparkrig.helm.errors import ChartError
from sparkrig.helm.size import LIMIT_BYTES, estimate
from sparkrig.yaml.plain import load_plain, load_plain_all

CASES = Path(__file__).parents[2] / "cases" / "helm"
PARENT = CASES / "charts" / "parent"
HOOKED = CASES / "charts" / "hooked"

Helm = Callable[..., str]


@pytest.fixture(scope="session")
def helm() -> Helm:
    binary = tools.find("helm").path

    def run(*arguments: object, text: str | None = None) -> str:
        done = subprocess.run([binary, *map(str, arguments)], input=text, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def package(helm: Helm, folder: Path, to: Path) -> Path:
    to.mkdir(exist_ok=True)
    helm("package", folder, "--destination", to)
    (archive,) = to.glob("*.tgz")
    return archive


@pytest.fixture
def parent(tmp_path: Path) -> Path:
    return Path(shutil.copytree(PARENT, tmp_path / "parent"))


# ------------------------------------------------------------------ digest


def test_folder_and_package_have_one_digest(helm: Helm, parent: Path, tmp_path: Path) -> None:
    (parent / "left.orig").write_text("ignored")
    (parent / "templates" / "bom.txt").write_bytes(b"\xef\xbb\xbftext")
    first = package(helm, parent, tmp_path / "first")
    os.utime(parent / "values.yaml", (1, 1))
    (parent / "values.yaml").chmod(0o600)
    second = package(helm, parent, tmp_path / "second")
    assert first.read_bytes() != second.read_bytes()
    assert digest(parent) == digest(first) == digest(second)


def test_packed_subchart_has_the_digest_of_its_folder(helm: Helm, parent: Path, tmp_path: Path) -> None:
    before = digest(parent)
    shutil.move(package(helm, parent / "charts" / "one", tmp_path / "one"), parent / "charts")
    shutil.rmtree(parent / "charts" / "one")
    assert digest(parent) == before == digest(package(helm, parent, tmp_path / "out"))


def append(text: str) -> Callable[[Path], object]:
    return lambda file: file.write_text(file.read_text() + text)


@pytest.mark.parametrize(
    ("name", "change", "same"),
    [
        ("Chart.yaml", append("# more\n"), True),
        ("Chart.yaml", append("other: 1\n"), True),
        ("Chart.yaml", append("kubeVersion: '>=1.30'\n"), False),
        ("Chart.yaml", append("icon: ''\n"), True),
        ("values.yaml", append("# more\n"), False),
        ("templates/settings.yaml", append("\n"), False),
        ("charts/one/charts/deep/crds/deeps.yml", append("\n"), False),
        ("notes/todo.txt", lambda file: (file.parent.mkdir(), file.write_text("x")), True),
        ("new.txt", lambda file: file.write_text("x"), False),
        ("crds/README.md", lambda file: file.rename(file.with_name("OTHER.md")), False),
        ("Chart.lock", lambda file: file.write_text("generated: 2020-01-01T00:00:00Z\n"), True),
    ],
)
def test_what_changes_the_digest(parent: Path, name: str, change: Callable[[Path], object], same: bool) -> None:
    before = digest(parent)
    change(parent / name)
    assert (digest(parent) == before) is same


# ------------------------------------------------------------------ CRDs


@pytest.mark.parametrize(
    "case", load_plain((CASES / "enabled_subcharts.yaml").read_text()), ids=lambda c: str(c["values"])
)
def test_crds_are_those_helm_installs(helm: Helm, case: Mapping[str, Any]) -> None:
    text = json.dumps(case["values"])
    rendered = helm("template", "x", PARENT, "--include-crds", "--values", "-", text=text)
    expected = [item for item in load_plain_all(rendered) if item["kind"] == "CustomResourceDefinition"]
    assert sorted(item["spec"]["names"]["plural"] for item in expected) == sorted(case["crds"])
    found = crds(PARENT, case["values"])
    assert sorted(map(json.dumps, found)) == sorted(map(json.dumps, expected))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("kind: Kustomization\nresources: []\n", "crds/ is for CustomResourceDefinitions, this is a Kustomization"),
        ("- a\n", "crds/ is for CustomResourceDefinitions, this is a list"),
        ("kind: CustomResourceDefinition\n", "a CustomResourceDefinition without metadata.name"),
    ],
)
def test_what_is_no_crd_is_refused_with_its_place(parent: Path, text: str, said: str) -> None:
    (parent / "crds").mkdir(exist_ok=True)
    (parent / "crds" / "zz.yaml").write_text(text)
    with pytest.raises(ChartError, match=r"crds/zz\.yaml: ") as raised:
        crds(parent, {})
    assert raised.value.message.endswith(said)


def test_crds_out_of_an_archive_are_those_of_the_folder(helm: Helm, tmp_path: Path) -> None:
    archive = package(helm, PARENT, tmp_path / "out")
    assert sorted(map(json.dumps, crds(archive, {}))) == sorted(map(json.dumps, crds(PARENT, {})))


@pytest.mark.parametrize("value", ["yes", None])
def test_scalar_where_a_subchart_wants_a_map(value: Any) -> None:
    with pytest.raises(ChartError, match="chart parent: the value 'one' is for a subchart and must be a map"):
        crds(PARENT, {"one": value})


# ------------------------------------------------------------------ .helmignore


@pytest.mark.parametrize(
    "case", load_plain((CASES / "ignored_files.yaml").read_text()), ids=lambda c: " ".join(c["rules"])
)
def test_ignored_files_are_those_helm_leaves_out(helm: Helm, case: Mapping[str, Any], tmp_path: Path) -> None:
    folder = tmp_path / "chart"
    every = "a.txt b.orig notes/n.txt notes/deep/n.txt sub/notes/x.txt templates/.hidden templates/t.yaml sub/a.txt"
    names = [*every.split(), "crds/c-1.yaml", "Chart.yaml", ".helmignore"]
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    (folder / "Chart.yaml").write_text("{apiVersion: v2, name: chart, version: 1.0.0}")
    (folder / ".helmignore").write_text("\n".join(case["rules"]))
    expected = sorted(set(names) - set(case["ignored"]))
    with tarfile.open(package(helm, folder, tmp_path / "out")) as archive:
        assert sorted(name.partition("/")[2] for name in archive.getnames()) == expected
    assert sorted(read_folder(folder, Budget("chart"))) == expected


@pytest.mark.parametrize("rule", ["a/**", "[a"])
def test_bad_ignore_rule_names_its_line(parent: Path, rule: str) -> None:
    (parent / ".helmignore").write_text(f"ok\n{rule}\n")
    with pytest.raises(ChartError, match=r"\.helmignore:2: "):
        digest(parent)


# ------------------------------------------------------------------ what is no chart


def archive_of(path: Path, members: Sequence[tuple[str, bytes | str]]) -> Path:
    """Writes a .tgz; a str content makes a symbolic link to it."""
    with tarfile.open(path, "w:gz") as archive:
        for name, content in members:
            member = tarfile.TarInfo(name)
            if isinstance(content, str):
                member.type, member.linkname = tarfile.SYMTYPE, content
                archive.addfile(member)
            else:
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
    return path


CHART_YAML = b"{apiVersion: v2, name: c, version: 1.0.0}"


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ([("c/Chart.yaml", CHART_YAML), ("c/../../etc/passwd", b"x")], "c/../../etc/passwd leads out of the chart"),
        ([("/etc/passwd", b"x")], "/etc/passwd leads out of the chart"),
        ([("c//etc/passwd", b"x")], "c//etc/passwd leads out of the chart"),
        ([("c\\..\\..\\x", b"x")], "c\\..\\..\\x leads out of the chart"),
        ([("c/c:/x", b"x")], "c/c:/x leads out of the chart"),
        ([("../c/x", b"x")], "../c/x leads out of the chart"),
        ([("c/Chart.yaml", "/etc/passwd")], "c/Chart.yaml is a link; a chart archive holds plain files only"),
        ([("c/a", b"1"), ("c/./a", b"2")], "holds a twice"),
        ([("Chart.yaml", CHART_YAML)], "Chart.yaml is not in a folder"),
        ([("c/values.yaml", b"")], "no Chart.yaml in it, so it is no chart"),
        ([("c/Chart.yaml", b"[]")], "Chart.yaml is not a map"),
        ([("c/Chart.yaml", b"name: c")], "Chart.yaml has no version"),
        ([("c/Chart.yaml", b"{name: ../c, version: 1.0.0}")], "Chart.yaml: '../c' cannot be a chart's name"),
        ([], "the archive is empty"),
    ],
)
def test_bad_archive(tmp_path: Path, members: Sequence[tuple[str, bytes | str]], message: str) -> None:
    path = archive_of(tmp_path / "c.tgz", members)
    with pytest.raises(ChartError) as error:
        read_chart(path)
    assert error.value.message == f"{path}: {message}"


def test_hard_links_and_sparse_files_are_refused(tmp_path: Path) -> None:
    for kind in (tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.GNUTYPE_SPARSE):
        path = tmp_path / "c.tgz"
        with tarfile.open(path, "w:gz", format=tarfile.GNU_FORMAT) as archive:
            member = tarfile.TarInfo("c/odd")
            member.type, member.linkname = kind, "c/Chart.yaml"
            archive.addfile(member)
        with pytest.raises(ChartError, match="holds plain files only"):
            read_chart(path)


def test_bomb_is_stopped_at_helms_limit(tmp_path: Path) -> None:
    path = tmp_path / "bomb.tgz"
    with gzip.open(path, "wb", compresslevel=1) as out:
        member = tarfile.TarInfo("c/zeros")
        member.size = 10 * MAX_CHART_BYTES
        out.write(member.tobuf())
        for _ in range(MAX_CHART_BYTES // 2**20 + 2):
            out.write(bytes(2**20))
    with pytest.raises(ChartError, match="unpacked it is larger than 100 MiB"):
        read_chart(path)


def test_charts_within_charts_are_counted(tmp_path: Path) -> None:
    inner = archive_of(tmp_path / "0.tgz", [("c/Chart.yaml", CHART_YAML)])
    for level in range(1, 9):
        members = [("c/Chart.yaml", CHART_YAML), ("c/charts/c.tgz", inner.read_bytes())]
        inner = archive_of(tmp_path / f"{level}.tgz", members)
    with pytest.raises(ChartError, match="charts within charts, deeper than 6"):
        read_chart(inner)


@pytest.mark.parametrize("cut", [0.5, 0.99])
def test_half_an_archive(helm: Helm, tmp_path: Path, cut: float) -> None:
    whole = package(helm, PARENT, tmp_path / "out").read_bytes()
    half = tmp_path / "half.tgz"
    half.write_bytes(whole[: int(len(whole) * cut)])
    with pytest.raises(ChartError, match="found something else or half of one"):
        read_chart(half)


def test_text_named_tgz(tmp_path: Path) -> None:
    path = tmp_path / "page.tgz"
    path.write_text("<html>")
    with pytest.raises(ChartError, match="expected a gzipped tar archive"):
        read_chart(path)


def test_no_such_chart(tmp_path: Path) -> None:
    with pytest.raises(ChartError, match="there is no such chart archive or folder"):
        read_chart(tmp_path / "nothing")


def test_links_in_a_folder(parent: Path, tmp_path: Path) -> None:
    (parent / "same.yaml").symlink_to("values.yaml")
    assert read_chart(parent).files["same.yaml"] == (parent / "values.yaml").read_bytes()
    (tmp_path / "secret").write_text("x")
    (parent / "link").symlink_to(tmp_path / "secret")
    with pytest.raises(ChartError, match="links may lead to files of the same chart only"):
        read_chart(parent)
    (parent / ".helmignore").write_text("link\n")
    assert "link" not in read_chart(parent).files


def test_missing_dependencies_are_all_named(parent: Path) -> None:
    shutil.rmtree(parent / "charts" / "one")
    shutil.rmtree(parent / "charts" / "two")
    with pytest.raises(ChartError) as error:
        read_chart(parent).require_complete()
    expected = f"{parent}: chart parent needs one 0.1.x, two >=0.1.0, and its charts/ folder does not have them"
    assert error.value.message == expected
    assert error.value.hint == f"helm dependency build {parent}"


def test_what_a_chart_says_of_itself() -> None:
    chart = read_chart(PARENT)
    assert (chart.name, chart.version, chart.metadata.app_version) == ("parent", "1.2.3", "1.1")
    assert [sub.name for sub in chart.subcharts] == ["loose", "one", "two"]
    assert chart.values == {"global": {}, "second": {}}
    assert chart.schema_text == ""
    assert read_chart(HOOKED).values_text == (HOOKED / "values.yaml").read_text()


def packed(folder: Path, name: str, text: str) -> Path:
    """An archive of a chart with one file of CRDs."""
    chart = b"apiVersion: v2\nname: a\nversion: 1.0.0\n"
    return archive_of(folder / "a.tgz", [("a/Chart.yaml", chart), (f"a/crds/{name}", text.encode())])


CRD = "kind: CustomResourceDefinition\nmetadata: {name: things.example.org}\nspec: {versions: [{name: v1}]}\n"


def test_an_archive_is_read_and_its_crds_are_parsed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from sparkrig.helm.charts import archive

    path = packed(tmp_path, f"{tmp_path.name}.yaml", CRD)
    first = crds(path, {})
    monkeypatch.setattr(archive, "_load_all", lambda *_: pytest.fail("parsed again"))
    monkeypatch.setattr(archive, "read_archive", lambda *_: pytest.fail("read again"))
    second = crds(path, {})
    assert first == second
    first[0]["spec"]["versions"].clear()  # everybody has objects of his own
    assert second[0]["spec"] == crds(path, {})[0]["spec"] == {"versions": [{"name": "v1"}]}


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SPARKRIG_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache" / "crds"


LARGE_CRD = CRD + "text: '" + "é1.20 " * 5_000 + "'\n"


def fresh_crds(path: Path) -> list[dict[str, Any]]:
    """As another run reads them."""
    from sparkrig.helm.charts import archive

    archive._parsed.cache_clear()
    return crds(path, {})


def test_crds_are_parsed_once_for_every_run_and_every_version_of_a_chart(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sparkrig.helm.charts import archive

    first = fresh_crds(packed(tmp_path, "a.yaml", LARGE_CRD))
    assert len(list(cache.iterdir())) == 1
    path = packed(tmp_path, "renamed.yaml", LARGE_CRD)
    read_chart(path)
    monkeypatch.setattr(archive, "_load_all", lambda *_: pytest.fail("parsed again"))
    assert fresh_crds(path) == first == load_plain_all(LARGE_CRD)


def test_a_small_file_of_crds_is_not_worth_a_file_of_the_cache(cache: Path, tmp_path: Path) -> None:
    assert fresh_crds(packed(tmp_path, "a.yaml", CRD))
    assert not cache.exists()


@pytest.mark.parametrize(
    "damage", [lambda _: b"", lambda d: d[:-9], lambda d: d.replace(b"things", b"others"), lambda _: b"\xff"]
)
def test_a_damaged_cache_of_crds_is_not_believed(cache: Path, tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    path = packed(tmp_path, "a.yaml", LARGE_CRD)
    first = fresh_crds(path)
    (file,) = cache.iterdir()
    whole = file.read_bytes()
    file.write_bytes(damage(whole))
    assert fresh_crds(path) == first
    assert file.read_bytes() == whole  # and mended


def test_crds_are_read_where_the_cache_cannot_be_written(cache: Path, tmp_path: Path) -> None:
    cache.parent.mkdir()
    cache.write_text("a file where the folder should be")
    assert fresh_crds(packed(tmp_path, "a.yaml", LARGE_CRD)) == load_plain_all(LARGE_CRD)


def test_a_file_of_crds_that_is_no_yaml_is_never_kept(cache: Path, tmp_path: Path) -> None:
    path = packed(tmp_path, "a.yaml", LARGE_CRD + "a: [\n")
    for _ in range(2):
        with pytest.raises(SparkrigError, match=r"a\.yaml:6"):
            fresh_crds(path)
    assert not cache.exists()


def test_an_archive_that_became_another_one_is_read_again(tmp_path: Path) -> None:
    assert [crd["metadata"]["name"] for crd in crds(packed(tmp_path, "a.yaml", CRD), {})] == ["things.example.org"]
    changed = packed(tmp_path, "a.yaml", CRD.replace("things", "others"))
    os.utime(changed, ns=(0, 0))
    assert [crd["metadata"]["name"] for crd in crds(changed, {})] == ["others.example.org"]


# ------------------------------------------------------------------ size


@pytest.mark.parametrize("length", [10, 500_000, 780_000, 783_000, 900_000, 1_200_000])
def test_what_is_said_to_fit_fits(length: int) -> None:
    """Manifests that hardly compress, around the limit: the size that is named is never smaller than the stored one."""
    letters = string.ascii_letters + string.digits + "-_"
    manifest = "".join(random.Random(7).choices(letters, k=length))
    found = estimate(read_chart(PARENT), {}, manifest)
    stored = len(base64.b64encode(gzip.compress(json.dumps({"manifest": manifest}).encode(), 9)))
    assert found.total >= stored
    assert found.fits == (stored + 4096 < LIMIT_BYTES)
