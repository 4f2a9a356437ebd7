"""What the webhook answers about a SparkApplication: defaults, and what it refuses. Pure."""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sparkoperator.states import Object, state_of

INTERVAL_S = 5
LABEL = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
LABEL_MAX = 63
AUTHENTICATE = "spark.kubernetes.authenticate."
_FIELD = "configure the service account via the CRD spec instead"
_MANAGED = "authentication credentials are managed by the operator"
_IMAGE = "use the image field on the CRD instead"
DENIED = {
    **{f"{AUTHENTICATE}{role}.serviceAccountName": _FIELD for role in ("driver", "executor")},
    **{
        f"{AUTHENTICATE}{role}oauthToken{end}": _MANAGED
        for role in ("", "driver.", "executor.")
        for end in ("File", "")
    },
    **dict.fromkeys(("spark.master", "spark.kubernetes.driver.master"), "this value is managed by the operator"),
    **{f"spark.kubernetes.{role}container.image": _IMAGE for role in ("", "driver.", "executor.")},
}
"""Properties that an application's sparkConf must not have, and why."""


@dataclass(frozen=True)
class Answer:
    """What the API server is told: the object as it shall be, or why not."""

    changed: Object | None = None
    refused: str = ""


def defaulted(application: Object) -> dict[str, Any]:
    """The application with the defaults of its kind; one that has been submitted is left as it is."""
    made = copy.deepcopy(dict(application))
    if state_of(application) not in ("", "INVALIDATING"):
        return made
    spec: dict[str, Any] = made.get("spec") or {}
    made["spec"] = spec
    conf = spec.get("sparkConf") or {}
    spec["type"] = spec.get("type") or "Scala"
    spec["mode"] = spec.get("mode") or "cluster"
    policy = {**(spec.get("restartPolicy") or {})}
    policy["type"] = policy.get("type") or "Never"
    if policy["type"] != "Never":
        for key in ("onFailureRetryInterval", "onSubmissionFailureRetryInterval"):
            policy.setdefault(key, INTERVAL_S)
    spec["restartPolicy"] = policy
    for role in ("driver", "executor"):
        part = {**(spec.get(role) or {})}
        for key, value in (("cores", 1), ("memory", "1g")):
            if f"spark.{role}.{key}" not in conf and part.get(key) is None:
                part[key] = value
        spec[role] = part
    _executors(spec, conf)
    return made


def refusal(application: Object, before: Object | None = None) -> str:
    """Why the application is refused; empty where it is not. ``before``: what it was, on an update."""
    metadata, spec = application["metadata"], application.get("spec") or {}
    if why := _name("SparkApplication", metadata.get("name", "")):
        return why
    if before is not None and before.get("spec") == spec:
        return ""
    parts = [spec.get(role) or {} for role in ("driver", "executor")]
    if any(part.get("template") is not None for part in parts) and _version(spec.get("sparkVersion", "")) < (3, 0, 0):
        return "pod template feature requires Spark version 3.0.0 or higher"
    if spec.get("nodeSelector") is not None and any(part.get("nodeSelector") is not None for part in parts):
        return "node selector cannot be defined at both SparkApplication and Driver/Executor"
    return _ingresses(spec.get("driverIngressOptions") or ()) or _conf(spec.get("sparkConf"), metadata["namespace"])


def refusal_of_schedule(schedule: Object, before: Object | None = None) -> str:
    """As ``refusal``, for a ScheduledSparkApplication."""
    metadata, spec = schedule["metadata"], schedule.get("spec") or {}
    if why := _name("ScheduledSparkApplication", metadata.get("name", "")):
        return why
    if before is not None and before.get("spec") == spec:
        return ""
    return _conf((spec.get("template") or {}).get("sparkConf"), metadata["namespace"])


def _executors(spec: dict[str, Any], conf: Mapping[str, Any]) -> None:
    scaling = spec.get("dynamicAllocation")
    if scaling is not None:
        dynamic = bool(scaling.get("enabled"))
    else:
        # Upstream asks for this spelling, which is not Spark's: the property of Spark is never seen.
        dynamic = str(conf.get("spark.dynamicallocation.enabled", "")).lower() in ("1", "t", "true")
    if spec["executor"].get("instances") is None and not conf.get("spark.executor.instances") and not dynamic:
        spec["executor"]["instances"] = 1
    if dynamic and scaling is not None:
        spec["dynamicAllocation"] = {"shuffleTrackingEnabled": True, **scaling}


def _name(kind: str, name: str) -> str:
    wrong = []
    if len(name) > LABEL_MAX:
        wrong.append(f"must be no more than {LABEL_MAX} characters")
    if not LABEL.fullmatch(name):
        wrong.append(
            "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic "
            "character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for "
            f"validation is '{LABEL.pattern}')"
        )
    return f'invalid {kind} name "{name}": {", ".join(wrong)}' if wrong else ""


def _ingresses(options: Any) -> str:
    ports, formats = set(), set()
    for item in options:
        port, form = item.get("servicePort"), item.get("ingressURLFormat", "")
        if port is None:
            return "DriverIngressOptions has nill ServicePort"
        if port in ports:
            return f"DriverIngressOptions has duplicate ServicePort: {port}"
        if not form:
            return "DriverIngressOptions has empty IngressURLFormat"
        if form in formats:
            return f"DriverIngressOptions has duplicate IngressURLFormat: {form}"
        ports.add(port)
        formats.add(form)
    return ""


def _conf(conf: Mapping[str, Any] | None, namespace: str) -> str:
    for key, value in (conf or {}).items():
        why = DENIED.get(key, "")
        if key == "spark.kubernetes.namespace" and value != namespace:
            why = f'must equal the application namespace "{namespace}", got "{value}"'
        if why:
            return f'sparkConf key "{key}" is not allowed: {why}'
    return ""


def _version(text: str) -> tuple[int, int, int]:
    """A version as upstream compares it: what is none comes before every version."""
    found = re.fullmatch(r"v?(\d+)(?:\.(\d+))?(?:\.(\d+)(?:[-+].*)?)?", text)
    return (int(found[1]), int(found[2] or 0), int(found[3] or 0)) if found else (-1, 0, 0)
