"""Reads kubeconfig files by kubectl's rules, and says which credentials a context uses.

Pure file reading: nothing here talks to a cluster or runs a program; see ``connection``.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path

from sparkrig.errors import NotFound, OperationError
from sparkrig.models.json import JsonObject, mapping_at, mappings_at, sequence_at, text_at, texts_at

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Where a pod finds its own credentials."""


@dataclass(frozen=True, slots=True)
class Kubeconfig:
    """Merged kubeconfig files. Of two entries with the same name the first wins, as in kubectl."""

    files: tuple[Path, ...]
    current_context: str | None
    contexts: Mapping[str, JsonObject]
    clusters: Mapping[str, JsonObject]
    users: Mapping[str, JsonObject]


@dataclass(frozen=True, slots=True)
class Credentials:
    """What one context says about its server and its user. Secret: never log or print."""

    context: str
    server: str
    cluster: JsonObject = field(repr=False)
    user: JsonObject = field(repr=False)

    @property
    def needs_library(self) -> bool:
        """True for an ``auth-provider`` (OpenID Connect with refresh), whose token the kubernetes library gets."""
        return "auth-provider" in self.user

    def impersonation(self) -> list[tuple[str, str]]:
        """Return the headers of a user that acts as another (``as``, ``as-groups``, ``as-uid``, ``as-user-extra``)."""
        headers = [("Impersonate-User", str(self.user["as"]))] if "as" in self.user else []
        headers += [("Impersonate-Uid", str(self.user["as-uid"]))] if "as-uid" in self.user else []
        headers += [("Impersonate-Group", str(group)) for group in sequence_at(self.user, "as-groups")]
        for key in (extra := mapping_at(self.user, "as-user-extra")):
            headers += [(f"Impersonate-Extra-{key}", value) for value in texts_at(extra, key)]
        return headers


def kubeconfig_files(explicit: Path | None) -> tuple[Path, ...]:
    """Return the files kubectl would read: ``explicit``, else ``KUBECONFIG``, else ``~/.kube/config``."""
    if explicit is not None:
        return (explicit,)
    listed = [p for p in os.environ.get("KUBECONFIG", "").split(os.pathsep) if p]
    return tuple(Path(p).expanduser() for p in listed) or (Path("~/.kube/config").expanduser(),)


def read_kubeconfig(explicit: Path | None = None) -> Kubeconfig:
    """Read and merge the kubeconfig files.

    Raises:
        NotFound: there is no such file.
        OperationError: a file is not a kubeconfig.
    """
    files = kubeconfig_files(explicit)
    found = [f for f in files if f.is_file()]
    if not found:
        names = ", ".join(str(f) for f in files)
        raise NotFound(
            f"there is no kubeconfig: looked at {names}",
            hint="set KUBECONFIG, or use a cluster made on this machine: --on sim",
        )
    current: str | None = None
    sections: dict[str, dict[str, JsonObject]] = {"contexts": {}, "clusters": {}, "users": {}}
    for file in found:
        document = _load(file)
        if document is None:  # as for kubectl, an empty file is one that says nothing
            continue
        current = current or text_at(document, "current-context") or None
        for section, entries in sections.items():
            for name, entry in _entries(document, section, file):
                entries.setdefault(name, entry)
    return Kubeconfig(tuple(found), current, sections["contexts"], sections["clusters"], sections["users"])


def credentials_of(config: Kubeconfig, context: str | None) -> Credentials:
    """Return server and credentials of a context (None: the current one).

    Raises:
        NotFound: the context, or the cluster or user it names, is not in the kubeconfig.
    """
    where = ", ".join(str(f) for f in config.files)
    name = context or config.current_context
    if not name:
        raise NotFound(f"the kubeconfig {where} has no current context", hint=_choices(config))
    entry = config.contexts.get(name)
    if entry is None:
        close = get_close_matches(name, config.contexts, 1)
        hint = f"did you mean {close[0]!r}?" if close else _choices(config)
        raise NotFound(f"there is no context {name!r} in the kubeconfig {where}", hint=hint)
    cluster = config.clusters.get(str(entry.get("cluster")))
    if cluster is None or not cluster.get("server"):
        raise NotFound(f"context {name!r} names the cluster {entry.get('cluster')!r}, which has no server in {where}")
    user = config.users.get(str(entry.get("user")), {})
    return Credentials(name, str(cluster["server"]).rstrip("/"), cluster, user)


def find_credentials(kubeconfig: Path | None, context: str | None) -> Credentials:
    """Return the credentials kubectl would use: those of a kubeconfig, or of the pod we run in.

    Raises:
        NotFound: there is neither, or the context is not in the kubeconfig.
        OperationError: a kubeconfig cannot be read.
    """
    if kubeconfig is None and not any(file.is_file() for file in kubeconfig_files(None)):
        pod = in_cluster_credentials()
        if pod is not None:
            return pod
    return credentials_of(read_kubeconfig(kubeconfig), context)


def in_cluster_credentials() -> Credentials | None:
    """Return the credentials of the pod we run in, or None outside of a cluster."""
    host, port = os.environ.get("KUBERNETES_SERVICE_HOST"), os.environ.get("KUBERNETES_SERVICE_PORT", "443")
    if not host or not (SERVICE_ACCOUNT / "token").is_file():
        return None
    address = f"[{host}]" if ":" in host else host
    return Credentials(
        "in-cluster",
        f"https://{address}:{port}",
        {"certificate-authority": str(SERVICE_ACCOUNT / "ca.crt")},
        {"tokenFile": str(SERVICE_ACCOUNT / "token")},
    )


def _choices(config: Kubeconfig) -> str:
    names = ", ".join(sorted(config.contexts)) or "none"
    return f"contexts there: {names}; choose one with --on context:NAME"


def _load(file: Path) -> JsonObject | None:
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        document = yaml.load(file.read_text(encoding="utf-8"), Loader=loader)  # noqa: S506 - a safe loader either way
    except (OSError, ValueError, yaml.YAMLError) as error:
        # The error's own text quotes the file, which holds credentials.
        where = getattr(error, "problem_mark", None)
        line = f" (line {where.line + 1})" if where else ""
        raise OperationError(f"the kubeconfig {file} cannot be read{line}: {type(error).__name__}") from None
    if document is not None and not isinstance(document, Mapping):
        raise OperationError(f"the kubeconfig {file} is not a mapping", hint="correct it, or take it out of KUBECONFIG")
    return document


def _entries(document: JsonObject, section: str, file: Path) -> Iterator[tuple[str, JsonObject]]:
    for item in mappings_at(document, section):
        if "name" in item:
            yield str(item["name"]), _absolute(mapping_at(item, section.removesuffix("s")), file.parent)


def _absolute(entry: JsonObject, folder: Path) -> JsonObject:
    """Return ``entry`` with the file names in it made absolute: they are relative to the kubeconfig's folder."""
    keys = ("certificate-authority", "client-certificate", "client-key", "tokenFile")
    absolute = {**entry, **{k: str(folder / text_at(entry, k)) for k in keys if entry.get(k)}}
    plugin = entry.get("exec")
    if isinstance(plugin, Mapping) and "/" in (command := str(plugin.get("command") or "")):
        absolute["exec"] = {
            **plugin,
            "command": str(folder.absolute() / command),
        }  # a name without a slash is looked for in PATH
    return absolute
