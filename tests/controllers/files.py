"""What a pod's containers find in their files and environment: resolved as kubelet does it, written below a folder."""

from __future__ import annotations

import base64
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sparkrig.kube.client import KubeApi
from sparkrig.kube.errors import ApiError, NotFoundApi

TOKEN_S = 8 * 3600
"""Longer than any test: tokens are not renewed."""
API_HOST = "kubernetes.default.svc"
"""By name, as some clouds set it: the certificate of a simulated API server lacks its cluster address."""
VARIABLE = re.compile(r"\$(\$|\(([A-Za-z_.-][A-Za-z0-9_.-]*)\))")
Manifest = Mapping[str, Any]


class NotYet(Exception):
    """Something that the pod needs is not there (yet): kubelet would wait for it too."""


@dataclass(frozen=True)
class PodFiles:
    """The volumes and variables of one pod."""

    api: KubeApi
    pod: Manifest
    address: str

    @property
    def namespace(self) -> str:
        """The pod's namespace."""
        return str(self.pod["metadata"]["namespace"])

    def environment(self, container: Manifest, port: int) -> dict[str, str]:
        """Return the container's variables; ``port`` is that of the API server's Service.

        Raises:
            NotYet: a Secret or ConfigMap that is not optional is missing.
        """
        made = {"PATH": "/usr/bin:/bin", "HOSTNAME": self.pod["metadata"]["name"], "HOME": "/"}
        made |= {"KUBERNETES_SERVICE_HOST": API_HOST, "KUBERNETES_SERVICE_PORT": str(port)}
        for source in container.get("envFrom") or ():
            kind, reference = ("secret", "secretRef") if "secretRef" in source else ("configmap", "configMapRef")
            data = self._data(f"{kind}s", source[reference]["name"], source[reference].get("optional", False))
            made |= {source.get("prefix", "") + key: value.decode() for key, value in data.items()}
        for variable in container.get("env") or ():
            value = self._value(variable, container)
            if value is not None:
                made[variable["name"]] = expand(value, made)
        return made

    def write(self, container: Manifest, root: Path) -> None:
        """Write what the container mounts below ``root``.

        Raises:
            NotYet: a volume cannot be filled yet.
        """
        volumes = {volume["name"]: volume for volume in self.pod["spec"].get("volumes") or ()}
        for mount in container.get("volumeMounts") or ():
            target = root / mount["mountPath"].lstrip("/")
            self._mount(volumes[mount["name"]], mount.get("subPath", ""), target)

    def _mount(self, volume: Manifest, part: str, target: Path) -> None:
        if "hostPath" in volume:
            source = Path(volume["hostPath"]["path"])
            if source.is_file():  # such as /etc/os-release; folders of this machine are none of a test's business
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, target)
                return
        files = self._files(volume)
        if part:
            files = {"": files[part]} if part in files else {}
        for name, data in files.items():
            file = target / name if name else target
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data)
        if not files:
            target.mkdir(parents=True, exist_ok=True)

    def _files(self, volume: Manifest) -> dict[str, bytes]:
        if "secret" in volume:
            source = volume["secret"]
            return _items(self._data("secrets", source["secretName"], source.get("optional", False)), source)
        if "configMap" in volume:
            return self._projection("configMap", volume["configMap"])
        if "downwardAPI" in volume:
            return self._projection("downwardAPI", volume["downwardAPI"])
        made: dict[str, bytes] = {}
        for source in volume.get("projected", {}).get("sources") or ():
            for kind, what in source.items():
                made |= self._projection(kind, what)
        return made

    def _projection(self, kind: str, source: Manifest) -> dict[str, bytes]:
        if kind == "serviceAccountToken":
            return {source["path"]: self.token(source.get("audience", "")).encode()}
        if kind == "downwardAPI":
            return {item["path"]: self._field(item["fieldRef"]["fieldPath"]).encode() for item in source["items"]}
        plural = {"secret": "secrets", "configMap": "configmaps"}[kind]
        return _items(self._data(plural, source["name"], source.get("optional", False)), source)

    def token(self, audience: str = "") -> str:
        """Return a token of the pod's service account, bound to the pod as kubelet's are.

        Raises:
            NotYet: there is no such account (yet), or no pod any more.
        """
        metadata = self.pod["metadata"]
        bound = {"kind": "Pod", "apiVersion": "v1", "name": metadata["name"], "uid": metadata["uid"]}
        spec = {
            "audiences": [audience] if audience else [],
            "expirationSeconds": TOKEN_S,
            "boundObjectRef": bound,
        }
        account = self.pod["spec"].get("serviceAccountName", "default")
        path = f"/api/v1/namespaces/{self.namespace}/serviceaccounts/{account}/token"
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
        try:
            return str(self.api.create(path, body)["status"]["token"])
        except ApiError as error:
            raise NotYet(f"no token of service account {account}: {error}") from None

    def _value(self, variable: Manifest, container: Manifest) -> str | None:
        source = variable.get("valueFrom")
        if source is None:
            return str(variable.get("value", ""))
        if "fieldRef" in source:
            return self._field(source["fieldRef"]["fieldPath"])
        if "resourceFieldRef" in source:
            part, _, resource = source["resourceFieldRef"]["resource"].partition(".")
            return str((container.get("resources", {}).get(part) or {}).get(resource, "0"))
        kind, reference = ("secrets", "secretKeyRef") if "secretKeyRef" in source else ("configmaps", "configMapKeyRef")
        wanted = source[reference]
        data = self._data(kind, wanted["name"], wanted.get("optional", False))
        if wanted["key"] in data:
            return data[wanted["key"]].decode()
        if wanted.get("optional"):
            return None
        raise NotYet(f"{kind} {self.namespace}/{wanted['name']} has no key {wanted['key']}")

    def _field(self, path: str) -> str:
        match = re.fullmatch(r"metadata\.(labels|annotations)\['(.+)'\]", path)
        if match:
            return str((self.pod["metadata"].get(match[1]) or {}).get(match[2], ""))
        if path in ("status.podIP", "status.podIPs", "status.hostIP"):
            return self.address
        found: Any = self.pod
        for key in path.split("."):
            found = found.get(key, "") if isinstance(found, dict) else ""
        return str(found)

    def _data(self, kind: str, name: str, optional: bool) -> dict[str, bytes]:
        try:
            found = self.api.get(f"/api/v1/namespaces/{self.namespace}/{kind}/{name}") or {}
        except NotFoundApi:
            if optional:
                return {}
            raise NotYet(f"{kind} {self.namespace}/{name} is not there") from None
        if kind == "secrets":
            return {key: base64.b64decode(value) for key, value in (found.get("data") or {}).items()}
        texts = {key: value.encode() for key, value in (found.get("data") or {}).items()}
        return texts | {key: base64.b64decode(value) for key, value in (found.get("binaryData") or {}).items()}


def expand(text: str, variables: Mapping[str, str]) -> str:
    """Replace ``$(NAME)`` where there is such a variable, and ``$$`` by ``$``, as Kubernetes does in args and env."""

    def one(match: re.Match[str]) -> str:
        return "$" if match[1] == "$" else variables.get(match[2], match[0])

    return VARIABLE.sub(one, text)


def _items(data: dict[str, bytes], source: Manifest) -> dict[str, bytes]:
    items = source.get("items")
    if not items:
        return data
    lacking = [item["key"] for item in items if item["key"] not in data]
    if lacking and not source.get("optional"):
        raise NotYet(f"{source.get('secretName') or source.get('name')} has no key {lacking[0]}")
    return {item["path"]: data[item["key"]] for item in items if item["key"] in data}
