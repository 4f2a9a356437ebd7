"""The imitation of the Spark operator beside upstream's own program, by hand: the same questions to both.

    python -m tests.upstream.compare_operator --program FILE --python FILE --kubeconfig FILE --crds DIR

``--program`` is upstream's binary, ``--python`` an interpreter that has kopf and kubernetes, ``--kubeconfig`` an API
server with nothing in it that matters (no nodes are needed). Both serve their webhook and run their controller; a
spark-submit that only writes down what it was called with stands below their SPARK_HOME, and the pods of drivers are
made here. Prints what differs; exits with 1 where something does.
"""

from __future__ import annotations

import argparse
import difflib
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from kubernetes import client, config, watch
from tests.upstream.operator_cases import SCENARIOS, TORN, cases, name_of, objects
from tests.upstream.operator_reviews import ask, patched

NAMESPACE = "jobs"
OPERATOR = "spark-operator"
IMITATION = Path(__file__).parents[1] / "node" / "images" / "spark-operator"
PLACE = ("sparkoperator.k8s.io", "v1beta2", NAMESPACE, "sparkapplications")
BEGIN_S, END_S, POLL_S = 60.0, 90, 0.1
LEASE_S = 14.5
RECORDER = """#!/bin/bash
for ((i = 1; i <= $#; i++)); do
  [ "${!i}" = --name ] && { j=$((i + 1)); name="${!j}"; }
done
mkdir -p "$RECORDS/$name"; printf '%s\\n' "$@" > "$RECORDS/$name/arguments.$$"
for word in "$@"; do
  case "$word" in *podTemplateFile=/tmp/spark/*) cp "${word#*=}" "$RECORDS/$name/" ;; esac
done
sleep 2
case "$name" in
  fails*) echo boom >&2; exit 1 ;;
  torn*) [ "$(ls "$RECORDS/$name" | grep -c arguments)" = 1 ] || { echo code=409 >&2; exit 1; } ;;
  exists*) echo 'Message: pods "x" already exists, code=409' >&2; exit 1 ;;
esac
"""


def main() -> int:
    """Ask both, compare."""
    asked = _options()
    warnings.filterwarnings("ignore", message="Unverified HTTPS request")
    config.load_kube_config(asked.kubeconfig)
    objects(Path(asked.crds), NAMESPACE, OPERATOR)
    programs = {
        "upstream": [str(Path(asked.program).resolve())],
        "imitation": [asked.python, "-m", "sparkoperator"],
    }
    found = {name: observed(name, command, asked.kubeconfig) for name, command in programs.items()}
    wrong = 0
    for key in found["upstream"]:
        one, other = (json.dumps(found[name].get(key), indent=1, sort_keys=True) for name in programs)
        wrong += one != other
        sys.stdout.write(f"{'same' if one == other else 'DIFFERS'}: {key}\n")
        if one != other:
            changes = difflib.unified_diff(one.split("\n"), other.split("\n"), *programs, lineterm="", n=3)
            sys.stdout.write("".join(f"  {line}\n" for line in changes))
    sys.stdout.write(f"{len(found['upstream']) - wrong} of {len(found['upstream'])} are the same\n")
    return int(wrong > 0)


def observed(name: str, command: list[str], kubeconfig: str) -> dict[str, Any]:
    """Everything that one of the two says and does."""
    sys.stderr.write(f"{name} ...\n")
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        with running(name, command, kubeconfig, folder, "webhook", *_webhook(folder)):
            answers = _answers(name)
        before = _holder()
        with running(name, command, kubeconfig, folder, "controller", "--namespaces", NAMESPACE):
            led = _until_led(before)
            runs = {f"run: {key}": _run(key, folder) for key in SCENARIOS if key != TORN}
            _create(TORN)
            _soon(lambda: list((folder / "records" / name_of(TORN)).glob("arguments.*")), BEGIN_S)
        with running(name, command, kubeconfig, folder, "controller", "--namespaces", NAMESPACE):
            runs[f"run: {TORN}"] = _followed(TORN, folder)
    return {**answers, "a Lease that was left is waited out": led, **runs}


@contextmanager
def running(name: str, command: list[str], kubeconfig: str, folder: Path, part: str, *arguments: str) -> Iterator[None]:
    """One part of one of the two, ended as a node that dies would end it."""
    home = folder / "spark"
    (home / "bin").mkdir(parents=True, exist_ok=True)
    (home / "bin" / "spark-submit").write_text(RECORDER, encoding="utf-8")
    (home / "bin" / "spark-submit").chmod(0o755)
    address = {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "KUBERNETES_SERVICE_PORT": "443"}
    environment = {**os.environ, **address, "SPARK_HOME": str(home), "RECORDS": str(folder / "records")}
    environment |= {"KUBECONFIG": kubeconfig, "PYTHONPATH": str(IMITATION)}
    lock = ["--leader-election=true", f"--leader-election-lock-name={OPERATOR}-{part}-lock"]
    lock += [f"--leader-election-lock-namespace={OPERATOR}", "--health-probe-bind-address=:18081"]
    with Path(f"/tmp/compare-{name}-{part}.log").open("w", encoding="utf-8") as log:
        process = subprocess.Popen(
            [*command, part, "start", *lock, *arguments], stdout=log, stderr=log, env=environment
        )
        try:
            yield
        finally:
            process.kill()
            process.wait()


def _webhook(folder: Path) -> list[str]:
    named = {"secret": f"{OPERATOR}-webhook-certs", "svc": f"{OPERATOR}-webhook-svc"}
    words = [w for k, v in named.items() for w in (f"--webhook-{k}-name={v}", f"--webhook-{k}-namespace={OPERATOR}")]
    return [*words, f"--webhook-cert-dir={folder}/certs", "--webhook-port=19443", f"--namespaces={NAMESPACE}"]


def _answers(name: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, path, review in cases(NAMESPACE):
        answer = ask(path, review, BEGIN_S)
        allowed = answer["allowed"]
        found[f"asked: {key}"] = patched(review, answer) if allowed else answer["status"]["message"]
    hook = f"{OPERATOR}-webhook"
    api = client.AdmissionregistrationV1Api()
    secret = client.CoreV1Api().read_namespaced_secret(f"{OPERATOR}-webhook-certs", OPERATOR)
    for kind in ("mutating", "validating"):
        read = getattr(api, f"read_{kind}_webhook_configuration")
        found[f"{kind}: the CA of the Secret is written"] = _soon(
            lambda read=read: read(hook).webhooks[0].client_config.ca_bundle == secret.data["ca-cert.pem"], 30
        )
    found["keys of the Secret"] = sorted(secret.data)
    sys.stderr.write(f"{name}: {len(found)} answers\n")
    return found


def _holder() -> str:
    try:
        found = client.CoordinationV1Api().read_namespaced_lease(f"{OPERATOR}-controller-lock", OPERATOR)
    except client.ApiException:
        return ""
    return str(found.spec.holder_identity)


def _until_led(before: str) -> bool:
    began = time.monotonic()
    led = _soon(lambda: _holder() not in ("", before), BEGIN_S)
    took = time.monotonic() - began
    sys.stderr.write(f"leads after {took:.1f} s; the holder before: {before or 'nobody'}\n")
    # The very first one finds no Lease.
    return led and (not before or took > LEASE_S)


def _run(key: str, folder: Path) -> dict[str, Any]:
    _create(key)
    return _followed(key, folder)


def _create(key: str) -> None:
    kind = {"apiVersion": "sparkoperator.k8s.io/v1beta2", "kind": "SparkApplication"}
    body = {**kind, "metadata": {"name": name_of(key)}, "spec": SCENARIOS[key]["spec"]}
    client.CustomObjectsApi().create_namespaced_custom_object(*PLACE, body)


def _followed(key: str, folder: Path) -> dict[str, Any]:
    """Make the pods of a scenario; the statuses of its application one after the other, and what was called."""
    scenario, name = SCENARIOS[key], name_of(key)
    api = client.CustomObjectsApi()
    seen: list[Any] = []
    pods, changes = iter(scenario["pods"]), iter(scenario.get("changes", ()))
    # A watch: some states last a few milliseconds.
    events = watch.Watch().stream(
        api.list_namespaced_custom_object, *PLACE, field_selector=f"metadata.name={name}", timeout_seconds=END_S
    )
    for event in events:
        application = event["object"]
        status = _told(application.get("status") or {})
        if not seen or status != seen[-1]:
            seen.append(status)
            if status["state"] in ("SUBMITTED", "RUNNING") and (phase := next(pods, None)):
                _pod(name, application["status"], phase)
        if status["state"] in scenario["end"]:
            change = next(changes, None)
            if change is None:
                break
            api.patch_namespaced_custom_object(*PLACE, name, {"spec": change})
    recorded = sorted((folder / "records" / name).glob("arguments.*"), key=lambda file: file.stat().st_mtime)
    called = [_anonymous(file.read_text(encoding="utf-8")).splitlines() for file in recorded]
    templates = {
        file.name: _without_nulls(yaml.safe_load(_anonymous(file.read_text(encoding="utf-8"))))
        for file in (folder / "records" / name).glob("*.yaml")
    }
    _clear(name)
    return {"statuses": seen, "arguments": called, "templates": templates}


def _pod(name: str, status: Mapping[str, Any], phase: Mapping[str, Any]) -> None:
    api, pod = client.CoreV1Api(), f"{name}-driver"
    labels = {"spark-role": "driver", "sparkoperator.k8s.io/launched-by-spark-operator": "true"}
    labels |= {"sparkoperator.k8s.io/app-name": name, "spark-app-selector": "spark-1"}
    labels["sparkoperator.k8s.io/submission-id"] = status["submissionID"]
    own = {"name": "spark-kubernetes-driver", "image": "x"}
    try:
        api.read_namespaced_pod(pod, NAMESPACE)
    except client.ApiException:
        metadata = {"name": pod, "labels": labels}
        api.create_namespaced_pod(NAMESPACE, {"metadata": metadata, "spec": {"containers": [own]}})
    api.patch_namespaced_pod_status(pod, NAMESPACE, {"status": phase})


def _told(status: Mapping[str, Any]) -> dict[str, Any]:
    application = status.get("applicationState") or {}
    keys = ("submissionAttempts", "executionAttempts", "sparkApplicationId", "executorState")
    info = {k: v for k, v in (status.get("driverInfo") or {}).items() if k != "webUIAddress" and v}
    times = {key: bool(status.get(key)) for key in ("lastSubmissionAttemptTime", "terminationTime")}
    known = {key: status.get(key) or None for key in keys}
    words = _anonymous(application.get("errorMessage") or "")
    return {"state": application.get("state", ""), "message": words, "driverInfo": info, **known, **times}


def _anonymous(text: str) -> str:
    return re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "ID", text)


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _without_nulls(v) for k, v in value.items() if v is not None and v != {}}
    return [_without_nulls(item) for item in value] if isinstance(value, list) else value


def _clear(name: str) -> None:
    api = client.CoreV1Api()
    client.CustomObjectsApi().delete_namespaced_custom_object(*PLACE, name)
    for pod in api.list_namespaced_pod(NAMESPACE).items:
        api.delete_namespaced_pod(pod.metadata.name, NAMESPACE, grace_period_seconds=0)
    for service in api.list_namespaced_service(NAMESPACE).items:
        api.delete_namespaced_service(service.metadata.name, NAMESPACE)


def _soon(question: Any, seconds: float) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if question():
            return True
        time.sleep(POLL_S)
    return False


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="compare_operator", description=(__doc__ or "").splitlines()[0])
    for name in ("program", "python", "kubeconfig", "crds"):
        parser.add_argument(f"--{name}", required=True)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
