"""``inference-v2``: a server of the open inference protocol is ready, and computes what it should.

https://github.com/kserve/open-inference-protocol; the list of models is the model-repository extension.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from urllib.parse import quote

from sparkrig.checks.kinds.base import Context, Depth, Kind, NotApplicable, NotYet, Wrong
from sparkrig.checks.kinds.exchange import Answer, Ask, Target, find_target, port_of, send
from sparkrig.checks.kinds.matching import flat, shown, tensor_mismatch
from sparkrig.checks.kinds.services import Asked, ask_each
from sparkrig.models.json import (
    JsonDict,
    JsonObject,
    mapping_at,
    mapping_or_none,
    mappings_at,
    sequence_at,
    text_at,
    texts_at,
)

ABSOLUTE, RELATIVE = 1e-6, 1e-4
"""Tolerances where none are given: single precision, and an order of summing that is the hardware's."""


def ask(context: Context) -> str:
    """With a ``model``: ``inputs`` must give ``outputs``. Else the models that must be ready, each by its name.

    Without names (``models``, or a Service's annotation, ``modelsFrom``) every model that the server lists must be.
    """
    return ask_each(context, lambda service: _one(context, service))


def _one(context: Context, service: Asked) -> str:
    parameters = context.parameters
    target = find_target(context, service.name, port_of(parameters))
    ready = _send(context, target, "/v2/health/ready")
    if "model" in parameters:
        _server_ready(ready)
        return _infer(context, target)
    names = _names(parameters, service)
    if names:
        # Not the server's own word: it may say ready with a model unloaded, and not ready for one that nobody needs.
        return _each_ready(context, target, names)
    _server_ready(ready)
    if names is not None:
        raise NotApplicable("the server is ready and needs no model")
    return _all_ready(context, target)


def _server_ready(answer: Answer) -> None:
    if answer.status != 200:
        raise NotYet(f"the server is not ready: status {answer.status}")


def _names(parameters: JsonObject, service: Asked) -> Sequence[str] | None:
    """The models that must be ready; None where nothing says which. An annotation lists them with commas."""
    if "models" in parameters:
        return texts_at(parameters, "models")
    listed = service.annotations.get(text_at(parameters, "modelsFrom", "annotation"))
    return None if listed is None else [name.strip() for name in listed.split(",") if name.strip()]


def _each_ready(context: Context, target: Target, names: Sequence[str]) -> str:
    answers = {name: _send(context, target, f"/v2/models/{quote(name, safe='')}/ready") for name in names}
    unwell = [
        f"{name} is not ready: status {answer.status}" for name, answer in answers.items() if answer.status != 200
    ]
    if unwell:
        raise NotYet("; ".join(unwell[:4]))
    return f"{', '.join(names)} {'is' if len(names) == 1 else 'are'} ready"


def _all_ready(context: Context, target: Target) -> str:
    answer = _send(context, target, "/v2/repository/index", {})
    models = answer.json() if answer.status == 200 else None
    if not isinstance(models, list):
        raise Wrong(f"the server does not list its models: status {answer.status} {shown(answer.text)}")
    if not models:
        raise NotApplicable("the server is ready and has no model")
    unwell = [
        f"{model.get('name')} {model.get('version', '')} is {model.get('state') or 'not loaded'}"
        + (f": {shown(model['reason'])}" if model.get("reason") else "")
        for model in models
        if model.get("state") != "READY"
    ]
    if unwell:
        raise NotYet("; ".join(unwell[:4]))
    return f"{len(models)} {'model is' if len(models) == 1 else 'models are'} ready"


def _infer(context: Context, target: Target) -> str:
    parameters = context.parameters
    version = f"/versions/{quote(str(parameters['version']), safe='')}" if "version" in parameters else ""
    path = f"/v2/models/{quote(text_at(parameters, 'model'), safe='')}{version}/infer"
    outputs = mappings_at(parameters, "outputs")
    request: JsonDict = {
        "inputs": [_tensor(each) for each in mappings_at(parameters, "inputs")],
        "outputs": [{"name": each["name"]} for each in outputs],
    }
    answer = _send(context, target, path, request)
    document = answer.json()
    if answer.status != 200:
        said = document.get("error") if isinstance(document, Mapping) else None
        raise NotYet(f"{parameters['model']}: status {answer.status}: {shown(said or answer.text)}")
    found = {each.get("name"): each for each in mappings_at(document, "outputs")}
    for wanted in outputs:
        if why := _differs(found.get(wanted["name"]), wanted, mapping_at(parameters, "tolerance")):
            raise NotYet(f"{parameters['model']}: {why}")
    return f"{parameters['model']} computes {', '.join(text_at(each, 'name') for each in outputs)} right"


def _differs(found: JsonObject | None, wanted: JsonObject, tolerance: JsonObject) -> str:
    name, shape = text_at(wanted, "name"), sequence_at(wanted, "shape")
    if found is None:
        return f"there is no output {name}"
    if "shape" in wanted and list(sequence_at(found, "shape")) != list(shape):
        return f"{name} has the shape {found.get('shape')}, expected {list(shape)}"
    if "data" not in found:
        return f"{name} comes without data in JSON"
    absolute = float(text_at(tolerance, "absolute") or ABSOLUTE)
    relative = float(text_at(tolerance, "relative") or RELATIVE)
    return tensor_mismatch(name, found["data"], wanted["data"], absolute, relative)


def _tensor(given: JsonObject) -> JsonDict:
    return {**{key: given[key] for key in ("name", "datatype", "shape")}, "data": flat(given["data"])}


def _send(context: Context, target: Target, path: str, body: JsonObject | None = None) -> Answer:
    headers = {} if body is None else {"Content-Type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    parameters = context.parameters
    method = "GET" if body is None else "POST"
    return send(context, target, Ask(path, method, target.service, headers, data, mapping_or_none(parameters, "tls")))


KIND = Kind(ask, Depth.NORMAL)
