"""Questions to a webhook on this machine, and what an answer makes of the object."""

from __future__ import annotations

import base64
import copy
import http.client
import json
import ssl
import time
from collections.abc import Mapping
from typing import Any

PORT = 19443


def ask(path: str, review: Mapping[str, Any], seconds: float) -> dict[str, Any]:
    """The response of a review; tried until somebody answers. Who signed is asked elsewhere."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    until = time.monotonic() + seconds
    while True:
        try:
            connection = http.client.HTTPSConnection("127.0.0.1", PORT, context=context, timeout=10)
            connection.request("POST", path, json.dumps(review), {"Content-Type": "application/json"})
            return dict(json.loads(connection.getresponse().read())["response"])
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.2)


def patched(review: Mapping[str, Any], answer: Mapping[str, Any]) -> Any:
    """The object of the review with the answer's patch applied, without what is empty."""
    found = copy.deepcopy(review["request"]["object"])
    for change in json.loads(base64.b64decode(answer.get("patch", "")) or "[]"):
        _apply(found, change)
    return solid(found)


def solid(value: Any) -> Any:
    """Without nulls, empty maps and empty lists: a program in Go writes some that nobody meant."""
    if isinstance(value, dict):
        made = {key: solid(item) for key, item in value.items()}
        return {key: item for key, item in made.items() if item not in (None, {}, [], "")}
    return [solid(item) for item in value] if isinstance(value, list) else value


def _apply(found: Any, change: Mapping[str, Any]) -> None:
    words = [word.replace("~1", "/").replace("~0", "~") for word in change["path"].split("/")[1:]]
    place = found
    for word in words[:-1]:
        place = place[int(word)] if isinstance(place, list) else place[word]
    last = words[-1]
    if isinstance(place, list):
        index = len(place) if last == "-" else int(last)
        if change["op"] == "add":
            place.insert(index, change["value"])
        elif change["op"] == "remove":
            del place[index]
        else:
            place[index] = change["value"]
    elif change["op"] == "remove":
        del place[last]
    else:
        place[last] = change["value"]
