"""Our reading of YAML, our merge and our --set against the real helm: the same text goes to both."""

from __future__ import annotations

import base64
import json
import math
import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from sparkrig.yaml.load import load, load_values
from sparkrig.yaml.merge import Layer, merge, to_values
from sparkrig.yaml.plain import dump, load_plain
from sparkrig.yaml.setflag import parse_set

# What a template sees of each value: as JSON, and with Go's type; base64, so that no text can break the output.
TEMPLATE = """out:
{{- range $name, $value := .Values }}
- {{ list $name $value (printf "%T %v" $value $value) | toJson | b64enc }}
{{- end }}
"""
# Each text of a list goes through the parser that reads values files.
FROM_YAML = """out:
{{- range .Values.texts }}
- {{ fromYaml . | toJson | b64enc }}
{{- end }}
"""

Print = Callable[..., list[Any]]


@pytest.fixture(scope="session")
def helm() -> str:
    found = os.environ.get("SPARKRIG_HELM") or shutil.which("helm")
    if found is None:
        from sparkrig.tools import find

        found = str(find("helm").path)
    return found


@pytest.fixture(scope="session")
def run(helm: str, tmp_path_factory: pytest.TempPathFactory) -> Print:
    """Renders one of the templates: files, flags -> what it printed. Raises CalledProcessError where helm refuses."""
    folder = tmp_path_factory.mktemp("charts")
    charts = {template: chart(folder / f"c{number}", template) for number, template in enumerate((TEMPLATE, FROM_YAML))}
    home = {f"HELM_{kind}_HOME": str(folder / kind) for kind in ("CACHE", "CONFIG", "DATA")}

    def render(template: str, texts: Sequence[str], flags: Sequence[str] = ()) -> list[Any]:
        command = [helm, "template", "r", str(charts[template])]
        for number, text in enumerate(texts):
            file = folder / f"values{number}.yaml"
            file.write_bytes(text.encode("utf-8", "surrogatepass"))
            command += ["-f", str(file)]
        done = subprocess.run(
            [*command, *flags], capture_output=True, text=True, check=True, timeout=60, env=os.environ | home
        )
        return [
            json.loads(base64.b64decode(line[2:]), parse_int=float)
            for line in done.stdout.splitlines()
            if line.startswith("- ")
        ]

    return render


def chart(folder: Path, template: str) -> Path:
    (folder / "templates").mkdir(parents=True)
    (folder / "Chart.yaml").write_text("apiVersion: v2\nname: printer\nversion: 0.1.0\n")
    (folder / "templates" / "out.yaml").write_text(template)
    return folder


def as_helm_holds(value: Any) -> Any:
    """Helm holds every number of a document as a float64."""
    if isinstance(value, dict):
        return {key: as_helm_holds(below) for key, below in value.items()}
    if isinstance(value, list):
        return [as_helm_holds(below) for below in value]
    if isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    return value


def same(ours: Any, theirs: Any) -> bool:
    """Compared as text, so that minus zero and true keep apart from zero and one."""
    return json.dumps(as_helm_holds(ours), sort_keys=True) == json.dumps(theirs, sort_keys=True)


# --------------------------------------------------------------------------- scalars and documents

WORDS = """
y Y yes Yes YES yEs n no No on ON off true True TRUE tRue false null Null NULL nULL ~ = << < .inf -.inf +.Inf .nan
.NaN inf nan 0 -0 +0 00 07 08 012 0o14 0O14 0o8 0x1F 0X1f 0xg 0x 0b 0b11 0B11 0b2 0b-101 -0b1 1_000 1__0 _1 1_
0x_1F 1e3 1E3 1e+3 1e-3 1e400 1e21 1.0 1. .5 .5_0 ._5 .5_ .5e3 . .. +.5 -.5 -0.0 +1 -1 +-1 1.10 1:30 190:20:30
2001-01-01 2001-1-1 2001-12-14t21:59:43.10-05:00 2001-13-45 12345678901234567890 18446744073709551616
-9223372036854775809 9223372036854775808 0.1 0.30000000000000004 5e-324 1e22 123456789012345680000
0777777777777777777777777 0xFFFFFFFFFFFFFFFF 0x1FFFFFFFFFFFFFFFF 9007199254740993 1000000 1234567.5 3.4e38 3.5e38
a-b a.b é 日本 1日 -x -- --- 1,2 10m 1Gi
""".split()  # noqa: SIM905  (a table of 100 quoted words is not more readable)

scalars = st.one_of(
    st.sampled_from(WORDS),
    st.text("0123456789+-._eExXbBoOaAfFnN:", min_size=1, max_size=9),
    st.integers().map(str),
    st.floats().map(repr),
    st.text("ab :#-?'\"\\,[]{}&*!|>%@`~\t\u00e9\u0085\u2028", max_size=8),
)
quoted = st.text("ab'\\ \n\t\u00e9\U0001f600:#", max_size=8).map(json.dumps)
tagged = st.tuples(st.sampled_from(["!!str", "!!int", "!!float", "!!bool", "!!null", "!!binary"]), scalars).map(
    " ".join
)
anything = st.one_of(scalars, scalars, quoted, tagged)
lines = st.one_of(
    anything.map("k: {}".format),
    st.tuples(anything, anything).map(lambda pair: f"{pair[0]}: {pair[1]}"),
    st.lists(anything, max_size=3).map(lambda items: f"k: [{', '.join(items)}]"),
    st.tuples(anything, anything).map(lambda pair: f"k: {{{pair[0]}: {pair[1]}}}"),
    st.tuples(anything, anything).map(lambda pair: f"k: &x {pair[0]}\nl: [*x, {pair[1]}]"),
    st.tuples(anything, anything).map(lambda pair: f"b: &b {{p: {pair[0]}, q: 1}}\nm: {{q: {pair[1]}, <<: *b, r: 2}}"),
    st.tuples(anything, anything).map(lambda pair: f"k:\n  - {pair[0]}\n  -\t{pair[1]}\r\nl: |-\n   {pair[0]}\n"),
)

# What Helm takes silently and is refused here on purpose.
STRICTER = {"duplicate-key", "unknown-tag", "text-after-end"}


def examples(strategy: st.SearchStrategy[Any], count: int) -> list[Any]:
    """The same ``count`` examples each time: generated first, so that one helm process can answer for all of them."""
    found: list[Any] = []

    @settings(max_examples=count, derandomize=True, deadline=None, database=None, phases=[Phase.generate])
    @given(example=strategy)
    def collect(example: Any) -> None:
        found.append(example)

    collect()
    return found


def test_texts_are_read_as_helm_reads_them(run: Print) -> None:
    texts = examples(lines, 2500)
    read, only_one = 0, []
    for text, theirs in zip(texts, run(FROM_YAML, [json.dumps({"texts": texts})]), strict=True):
        loaded = load_values(text, "text")
        codes = {problem.code for problem in loaded.problems}
        if codes & STRICTER or text.startswith("---"):
            continue  # fromYaml does not cut at '---', reading a values file does
        if codes == {"not-finite"} and "<<" in text:
            continue  # Helm sees the number only when nothing overrides it
        if bool(codes) != ("Error" in theirs):
            only_one.append(text)
        elif not codes:
            assert loaded.document is not None
            assert same(loaded.document.value, theirs), (text, loaded.document.value, theirs)
            assert same(load_plain(text) or {}, theirs), text
            read += 1
    assert read > len(texts) / 3  # or the comparison says nothing
    # libyaml's scanner and Go's disagree on what is YAML at all in corners such as `[a?b]` and `[a:]`; a text
    # that both read must mean the same, without exception.
    assert len(only_one) < len(texts) / 100, only_one


def test_values_print_the_same_from_the_text_and_from_our_document(run: Print) -> None:
    texts = examples(anything, 600)
    texts = [*WORDS, *texts]
    good = [
        text
        for text in texts
        if not load(f"a: {text}\nb: 1", "f").problems and not load_values(f"a: {text}\n", "f").problems
    ]
    good = [
        text
        for text, theirs in zip(good, run(FROM_YAML, [json.dumps({"texts": [f"a: {t}" for t in good]})]), strict=True)
        if "Error" not in theirs
    ]
    text = "".join(f"c{number}: {one}\n" for number, one in enumerate(good))
    loaded = load_values(text, "values.yaml")
    assert not loaded.problems
    assert loaded.document is not None
    assert run(TEMPLATE, [text]) == run(TEMPLATE, [json.dumps(loaded.document.value)])
    assert len(good) > 150


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(WORDS)
    | st.text("ab \n\t'\"#:-?|>é\u0085\u2028\ufeff\U0001f600~", max_size=12)
    | st.text(max_size=6),
    lambda below: (
        st.lists(below, max_size=3) | st.dictionaries(st.sampled_from(WORDS) | st.text(max_size=4), below, max_size=3)
    ),
    max_leaves=6,
)


def test_what_is_dumped_reads_back_in_helm_and_here(run: Print) -> None:
    values = examples(json_values, 600)
    texts = [dump({"v": value}) for value in values]
    for value, text, theirs in zip(values, texts, run(FROM_YAML, [json.dumps({"texts": texts})]), strict=True):
        assert same({"v": value}, theirs), (value, text, theirs)
        assert load_plain(text) == {"v": value}, text


# --------------------------------------------------------------------------- layers

KEYS = ["a", "b", "c"]
trees = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.just("x"),
    lambda below: st.lists(below, max_size=2) | st.dictionaries(st.sampled_from(KEYS), below, max_size=3),
    max_leaves=8,
)
layers = st.lists(st.dictionaries(st.sampled_from(KEYS), trees, max_size=3), min_size=1, max_size=3)


def test_layers_merge_as_helm_merges_files(run: Print) -> None:
    for documents in examples(layers, 20):
        texts = [dump(document) for document in documents]
        merged = merge([Layer(f"l{n}", f"f{n}", load_values(text, f"f{n}").document) for n, text in enumerate(texts)])
        assert {name: value for name, value, _ in run(TEMPLATE, texts)} == as_helm_holds(to_values(merged))


SETS = [
    "a=1", "a=1,b=true,c=null", "a.b.c=x", "a.b=1,a.c=2", "a={1,2,x}", "a={}", "a={x,true},b=1", "a[0]=1", "a[2]=x",
    "a[1].b=1", "a[0].b[1].c=x", "a[0][1]=2", r"a=x\,y", r"a.b\.c=1", r"a\.b/c=1", "a=", "a=,b=1", "a=012,b=0,c=1.5",
    "a=TRUE,b=Null,c=-5", "a=+5", "a=12345678901234567890", "a= 1", "a=b=c", "a=[1]", "a.b[0]=x,a.b[1]=y", "b=é,c=日本",
    r"a=\{x\}", "a=~", "a=yes", "a.b={1}", "l[1]=9", "l[0].x=1", "m.k=2", "m.n.o=3", "m=5", "n[1].k=z", "n[0].q.r=1",
]  # fmt: skip
BASE = "l: [1, 2]\nm: {k: 1, n: {o: 1, p: 2}}\nn: [{k: a}, {k: b}]\nz: null\ns: text\n"


@pytest.mark.parametrize("flag", ["--set", "--set-string"])
def test_set_flags_are_read_as_helm_reads_them(run: Print, flag: str) -> None:
    for argument in SETS:
        assignments, problems = parse_set(argument, flag=flag, strings=flag == "--set-string")
        assert not problems, (argument, problems)
        merged = merge([Layer("f", "f", load_values(BASE, "f").document), Layer(flag, None, None, assignments)])
        assert not merged.problems, (argument, merged.problems)
        theirs = {name: value for name, value, _ in run(TEMPLATE, [BASE], [flag, argument])}
        assert as_helm_holds(theirs) == as_helm_holds(to_values(merged)), argument


@pytest.mark.parametrize(
    "argument",
    ["a", "a,b=1", "a[x]=1", "a[-1]=1", "a[70000]=1", "a={1", "a[0]b=1", "s.k=1", "s[0]=1", "z.k=1", "l.k=1", "m[0]=1",
     "a.b,c=1", "l[0][0]=1", ".".join("a" * 33) + "=1"],
)  # fmt: skip
def test_what_helm_refuses_in_a_flag_is_refused_with_the_flags_name(run: Print, argument: str) -> None:
    with pytest.raises(subprocess.CalledProcessError):
        run(TEMPLATE, [BASE], ["--set", argument])
    assignments, problems = parse_set(argument)
    problems += merge(
        [Layer("f", "f", load_values(BASE, "f").document), Layer("--set", None, None, assignments)]
    ).problems
    assert problems
    assert all((problem.where or "").startswith("--set ") for problem in problems)


@pytest.mark.parametrize("argument", ["a[0", "a.", "a..b=1", "=1", "a=1,,b=2", "", "a.=1"])
def test_what_helm_drops_silently_or_not_by_luck_is_refused(argument: str) -> None:
    assert parse_set(argument)[1]


def test_several_documents_in_one_values_file_merge(run: Print) -> None:
    text = "# head\n---\na: {x: 1, y: 2}\n--- # more\na: {y: 3}\nb: [1]\n---\n---\nb: null\n"
    loaded = load_values(text, "values.yaml")
    assert loaded.problems == ()
    assert loaded.document is not None
    assert {name: value for name, value, _ in run(TEMPLATE, [text])} == as_helm_holds(loaded.document.value)


def test_minus_zero_and_the_limits_of_whole_numbers_keep_their_print(run: Print) -> None:
    numbers = [-0.0, 2**53 - 1, 2**53, 2**53 + 1, 1e6, 123456.5, 5e-324, math.pi]
    document = {f"n{i}": number for i, number in enumerate(numbers)}
    assert run(TEMPLATE, [dump(document)]) == run(TEMPLATE, [json.dumps(document)])
