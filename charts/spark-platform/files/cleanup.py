"""Deletes finished and idle Spark applications. Runs in a CronJob with nothing but Python. Argument: settings (JSON).

Finished: SparkApplications some hours after their end, and driver pods that no SparkApplication owns. Idle: running
ones whose driver says that no Spark job has run for some minutes. Never touched: what has the label
sparkrig.dev/keep=true, runs of a schedule (it has limits of its own), and what has a time to live.
"""

import json
import os
import ssl
import sys
import urllib.error
import urllib.request
from datetime import datetime, timedelta, timezone
from pathlib import Path

ACCOUNT = Path(os.environ.get("ACCOUNT_DIR", "/var/run/secrets/kubernetes.io/serviceaccount"))
HOST = os.environ.get("KUBERNETES_SERVICE_HOST", "kubernetes.default.svc")
PORT = os.environ.get("KUBERNETES_SERVICE_PORT", "443")
API = f"https://[{HOST}]:{PORT}" if ":" in HOST else f"https://{HOST}:{PORT}"
UI_PORT = int(os.environ.get("DRIVER_UI_PORT", "4040"))
TIMEOUT_S = 20
PAGE = 200
KEEP = "sparkrig.dev/keep"
ENDED = {"COMPLETED": "completedHours", "FAILED": "failedHours", "SUBMISSION_FAILED": "failedHours"}
PHASES = {"Succeeded": "completedHours", "Failed": "failedHours"}


class Api:
    """The calls that are needed, with the pod's own account."""

    def __init__(self):
        self.context = ssl.create_default_context(cafile=str(ACCOUNT / "ca.crt"))

    def call(self, method, path, body=None):
        # Read at each call: the kubelet renews the token.
        token = (ACCOUNT / "token").read_text(encoding="utf-8").strip()
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(API + path, data=data, method=method, headers=headers)
        with urllib.request.urlopen(request, timeout=TIMEOUT_S, context=self.context) as answer:
            return json.load(answer)

    def list(self, path, selector=""):
        proceed = ""
        while True:
            page = self.call("GET", f"{path}?limit={PAGE}{selector}{proceed}")
            yield from page["items"]
            token = page["metadata"].get("continue")
            if not token:
                return
            proceed = f"&continue={token}"

    def delete(self, path, uid):
        # Of one name there may be another object by now.
        try:
            self.call("DELETE", path, {"preconditions": {"uid": uid}, "propagationPolicy": "Background"})
        except urllib.error.HTTPError as error:
            if error.code not in (404, 409):
                raise


def moment(text):
    """A time as Kubernetes or Spark writes it; None for none."""
    if not text:
        return None
    text = text.replace("GMT", "+00:00").replace("Z", "+00:00")
    return datetime.fromisoformat(text) if "." not in text else datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%f%z")


def kept(item):
    """Why somebody else cares for the object, or None."""
    meta = item["metadata"]
    if (meta.get("labels") or {}).get(KEEP) == "true":
        return "labelled"
    if any(owner["kind"] == "ScheduledSparkApplication" for owner in meta.get("ownerReferences") or ()):
        return "of a schedule"
    if item.get("spec", {}).get("timeToLiveSeconds"):
        return "has a time to live"
    return None


def too_old(ended, hours, now):
    return bool(hours) and ended is not None and now - ended > timedelta(hours=hours)


def pod_ended(pod):
    """When the last container of a finished pod ended."""
    ends = [
        moment((status.get("state") or {}).get("terminated", {}).get("finishedAt"))
        for status in pod["status"].get("containerStatuses") or ()
    ]
    known = [end for end in ends if end]
    return max(known) if known else moment(pod["metadata"]["creationTimestamp"])


def idle_since(address):
    """When the last Spark job of a running driver ended (its start where there was none); None while one runs."""
    host = f"[{address}]" if ":" in address else address
    base = f"http://{host}:{UI_PORT}/api/v1/applications"

    def read(path):
        with urllib.request.urlopen(base + path, timeout=TIMEOUT_S) as answer:
            return json.load(answer)

    (application, *_) = read("")
    jobs = read(f"/{application['id']}/jobs")
    if any(job["status"] == "RUNNING" for job in jobs):
        return None
    ends = [moment(job.get("completionTime")) for job in jobs]
    return max([end for end in ends if end] or [moment(application["attempts"][-1]["startTime"])])


class Cleaner:
    """One run."""

    def __init__(self, api, settings, now):
        self.api, self.settings, self.now = api, settings, now
        self.failed = False

    def run(self):
        for namespace in self.settings["namespaces"]:
            try:
                self.namespace(namespace)
            except (OSError, KeyError, ValueError) as error:
                self.failed = True
                self.say(namespace, "", "", f"failed: {error}")

    def namespace(self, namespace):
        group = f"/apis/sparkoperator.k8s.io/v1beta2/namespaces/{namespace}/sparkapplications"
        pods = f"/api/v1/namespaces/{namespace}/pods"
        applications = {}
        try:
            for item in self.api.list(group):
                applications[item["metadata"]["name"]] = item
        except urllib.error.HTTPError as error:
            if error.code != 404:  # no operator in this cluster: driver pods of spark-submit are left
                raise
        for item in applications.values():
            state = ((item.get("status") or {}).get("applicationState") or {}).get("state", "")
            hours = self.settings.get(ENDED.get(state, ""), 0)
            ended = moment((item.get("status") or {}).get("terminationTime"))
            if not kept(item) and too_old(ended, hours, self.now):
                self.delete(group, item, f"{state.lower()} since {ended.isoformat()}")
        for pod in self.api.list(pods, "&labelSelector=spark-role%3Ddriver"):
            self.driver(pods, group, pod, applications)

    def driver(self, pods, group, pod, applications):
        owners = [o["name"] for o in pod["metadata"].get("ownerReferences") or () if o["kind"] == "SparkApplication"]
        owner = applications.get(owners[0]) if owners else None
        subject, path = (owner, group) if owner is not None else (pod, pods)
        if kept(pod) or kept(subject):
            return
        phase = pod["status"].get("phase")
        if phase in PHASES and not owners:
            ended = pod_ended(pod)
            if too_old(ended, self.settings[PHASES[phase]], self.now):
                self.delete(pods, pod, f"{phase.lower()} since {ended.isoformat()}")
        elif phase == "Running" and self.settings["idleMinutes"] and pod["status"].get("podIP"):
            try:
                since = idle_since(pod["status"]["podIP"])
            except (OSError, KeyError, ValueError) as error:
                self.say(pod["metadata"]["namespace"], "Pod", pod["metadata"]["name"], f"not asked: {error}")
                return
            if since is not None and self.now - since > timedelta(minutes=self.settings["idleMinutes"]):
                self.delete(path, subject, f"idle since {since.isoformat()}")

    def delete(self, path, item, why):
        meta = item["metadata"]
        kind = "Pod" if path.endswith("/pods") else "SparkApplication"
        if not self.settings["dryRun"]:
            self.api.delete(f"{path}/{meta['name']}", meta["uid"])
        self.say(meta["namespace"], kind, meta["name"], why, deleted=not self.settings["dryRun"])

    def say(self, namespace, kind, name, why, deleted=False):
        line = {"namespace": namespace, "kind": kind, "name": name, "deleted": deleted, "why": why}
        print(json.dumps(line), flush=True)


def main():
    settings = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    cleaner = Cleaner(Api(), settings, datetime.now(timezone.utc))
    cleaner.run()
    return 1 if cleaner.failed else 0


if __name__ == "__main__":
    sys.exit(main())
