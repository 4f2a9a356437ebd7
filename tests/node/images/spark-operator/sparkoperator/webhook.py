"""``webhook start``: serves admission over HTTPS; the leader tells the API server whose certificates to believe."""

from __future__ import annotations

import base64
import json
import logging
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from kubernetes import client

from sparkoperator import admission, certificates, pods
from sparkoperator.admission import Answer
from sparkoperator.lease import CONFLICT, MISSING, Election
from sparkoperator.states import APP_LABEL, Object

GROUP, VERSION, PLURAL = "sparkoperator.k8s.io", "v1beta2", "sparkapplications"
POLL_S = 1.0
TRIES = 5
logger = logging.getLogger("sparkoperator")
Review = Mapping[str, Any]


class Impossible(Exception):
    """The request cannot be answered: the API server is told so, and refuses what it was about."""


def answered(review: Review, path: str, namespaces: tuple[str, ...]) -> Review:
    """The AdmissionReview that answers this one."""
    request = review["request"]
    try:
        found = PATHS[path](request, namespaces)
    except (Impossible, client.ApiException, OSError) as error:
        return _reply(review, False, str(error), 500, None)
    except (KeyError, TypeError, AttributeError) as error:
        # An object of a form that was not thought of: an answer says more than a connection that ends.
        logger.exception("%s", path)
        return _reply(review, False, f"{type(error).__name__}: {error}", 500, None)
    if found.refused:
        return _reply(review, False, found.refused, 403, None)
    return _reply(review, True, "", 200, _patch(request["object"], found.changed))


def _application(request: Review, _: tuple[str, ...]) -> Answer:
    return Answer(admission.defaulted(request["object"]))


def _pod(request: Review, namespaces: tuple[str, ...]) -> Answer:
    pod, namespace = request["object"], request["namespace"]
    name = (pod["metadata"].get("labels") or {}).get(APP_LABEL, "")
    if (namespaces and namespace not in namespaces) or not name:
        return Answer()
    try:
        found = client.CustomObjectsApi().get_namespaced_custom_object(GROUP, VERSION, namespace, PLURAL, name)
    except client.ApiException as error:
        why = f'SparkApplication.{GROUP} "{name}" not found' if error.status == MISSING else error.reason
        raise Impossible(f"failed to get SparkApplication {namespace}/{name}: {why}") from error
    return Answer(pods.mutated(pod, found))


def _unchanged(_: Review, __: tuple[str, ...]) -> Answer:
    return Answer()


def _validated(why: Callable[[Object, Object | None], str]) -> Callable[[Review, tuple[str, ...]], Answer]:
    def answer(request: Review, _: tuple[str, ...]) -> Answer:
        if request["operation"] == "DELETE":
            return Answer()
        return Answer(refused=why(request["object"], request.get("oldObject")))

    return answer


PATHS: dict[str, Callable[[Review, tuple[str, ...]], Answer]] = {
    "/mutate--v1-pod": _pod,
    "/mutate-sparkoperator-k8s-io-v1beta2-sparkapplication": _application,
    "/mutate-sparkoperator-k8s-io-v1beta2-scheduledsparkapplication": _unchanged,
    "/mutate-sparkoperator-k8s-io-v1alpha1-sparkconnect": _unchanged,
    "/validate-sparkoperator-k8s-io-v1beta2-sparkapplication": _validated(admission.refusal),
    "/validate-sparkoperator-k8s-io-v1beta2-scheduledsparkapplication": _validated(admission.refusal_of_schedule),
    "/validate-sparkoperator-k8s-io-v1alpha1-sparkconnect": _unchanged,
}


def _reply(review: Review, allowed: bool, message: str, code: int, patch: Any) -> Review:
    response: dict[str, Any] = {"uid": review["request"]["uid"], "allowed": allowed}
    if not allowed:
        response["status"] = {"message": message, "code": code, "reason": "Forbidden" if code == 403 else ""}
    if patch:
        encoded = base64.b64encode(json.dumps(patch).encode()).decode()
        response |= {"patchType": "JSONPatch", "patch": encoded}
    return {"apiVersion": review["apiVersion"], "kind": review["kind"], "response": response}


def _patch(old: Object, new: Object | None) -> list[dict[str, Any]]:
    """Parts that differ, each as a whole: nobody but this webhook writes between question and answer."""
    parts = ("metadata", "spec") if new is not None else ()
    return [
        {"op": "replace" if part in old else "add", "path": f"/{part}", "value": (new or {})[part]}
        for part in parts
        if (new or {}).get(part) != old.get(part)
    ]


def handler(namespaces: tuple[str, ...]) -> type[BaseHTTPRequestHandler]:
    """Answers reviews about these namespaces."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            """http.server wants this name."""
            review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            path = self.path.partition("?")[0]
            code = 200 if path in PATHS else MISSING
            body = json.dumps(answered(review, path, namespaces) if code == 200 else {}).encode()
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, form: str, *words: object) -> None:
            """One line for each question."""
            logger.info(form, *words)

    return Handler


def serve(port: int, files: tuple[Path, Path], namespaces: tuple[str, ...]) -> ThreadingHTTPServer:
    """Begin to answer; the server. A handshake happens in the thread of its connection: none holds up another."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*files)
    server = ThreadingHTTPServer(("", port), handler(namespaces))
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def synchronized(name: str, namespace: str, host: str, folder: Path) -> Mapping[str, str]:
    """The data of the Secret, made and written where it is missing or of no use; another replica may be first.

    Raises:
        ApiException: after some tries.
    """
    api = client.CoreV1Api()
    for tried in range(TRIES):
        try:
            try:
                secret = api.read_namespaced_secret(name, namespace)
            except client.ApiException as error:
                if error.status != MISSING:
                    raise
                empty = client.V1Secret(metadata=client.V1ObjectMeta(name=name, namespace=namespace))
                secret = api.create_namespaced_secret(namespace, empty)
            if not certificates.usable(secret.data or {}, host, folder):
                secret.data = {**(secret.data or {}), **certificates.generated(host, folder)}
                secret = api.replace_namespaced_secret(name, namespace, secret)
            return dict(secret.data)
        except client.ApiException as error:
            if error.status != CONFLICT or tried == TRIES - 1:
                raise
            time.sleep(2**tried)
    raise AssertionError("the loop returns or raises")


def believed(authority: str, mutating: str, validating: str) -> None:
    """Write the authority into every webhook of the two configurations that does not have it. Only the leader does."""
    api = client.AdmissionregistrationV1Api()
    for kind, name in (("mutating", mutating), ("validating", validating)):
        found = getattr(api, f"read_{kind}_webhook_configuration")(name)
        if all(hook.client_config.ca_bundle == authority for hook in found.webhooks or ()):
            continue
        for hook in found.webhooks:
            hook.client_config.ca_bundle = authority
        getattr(api, f"replace_{kind}_webhook_configuration")(name, found)
        logger.info("updated the CA bundle of %s webhook configuration %s", kind, name)


def run(asked: Any, ready: threading.Event) -> None:
    """Serve for ever."""
    folder = Path(asked.webhook_cert_dir)
    folder.mkdir(parents=True, exist_ok=True)
    host = f"{asked.webhook_svc_name}.{asked.webhook_svc_namespace}.svc"
    secret = synchronized(asked.webhook_secret_name, asked.webhook_secret_namespace, host, folder)
    serve(asked.webhook_port, certificates.written(secret, folder), asked.namespaces)
    ready.set()
    if asked.leader_election:
        Election(asked.leader_election_lock_name, asked.leader_election_lock_namespace).lead()
    while True:
        try:
            believed(secret[certificates.CA], asked.mutating_webhook_name, asked.validating_webhook_name)
        except (client.ApiException, OSError) as error:
            logger.warning("webhook configurations: %s", error)
        time.sleep(POLL_S)
