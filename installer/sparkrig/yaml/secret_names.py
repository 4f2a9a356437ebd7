"""Which names hold a secret, and texts with the secrets in them covered. Pure.

Values of charts have no type "secret", so names decide. What is wrongly hidden is a nuisance, what is wrongly shown
is in a log for ever. The cases are data: tests/cases/secrets/names.yaml.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from sparkrig.models.json import JsonValue

HIDDEN: Final = "(hidden)"
"""Shown instead of a secret."""

_KEYS: Final = (
    r"(secret|api|access|private|client|signing|encryption|license|licence|account|ssh|routing|service|integration|"
    r"shared|storage|master|sas|user|webhook|host|tls)_?key"
)
_SECRET: Final = re.compile(
    r"passw(or)?d|passphrase|secret|token|credential|docker_?config|connection_?string|htpasswd|sas_?url|cookie|"
    r"jaas_?config|web_?hook_?(url|uri|address)|slack_?(api_?)?ur[li]|incoming_?hook|" + _KEYS
)
_LAST: Final = re.compile(r"(^|_)(pass|pwd|passwd|dsn|auth|auths|jaas|otp|pin)$")
"""Short words that mean a secret only as the last word of a name: ``smtpPass``, but not ``passThrough``."""
_NAMES_ONE: Final = re.compile(
    r"(name|names|ref|refs|namespace|path|file|files|class|type|enabled|enable|create|annotations|labels|key|"
    r"pull_?secrets?|url|mode|rotation|expiration|ttl|lifetime|duration|audience|issuer|domain|secure|same_?site|max_?age|"
    r"from_?(env|file|command|secret))$"
)
_HOLDS_ANYWAY: Final = re.compile(_KEYS + r"$|(web_?hook|slack_?(api)?|sas)_?ur[li]$")
"""Names that end like one that only refers to something, and hold the secret themselves."""
_EXISTING: Final = re.compile(r"^(existing|use|create|automount|mount)")
_USER_INFO: Final = re.compile(r"(?<=://)(?:[^/@\s:]*:[^/@\s]*|[^/@\s:]{16,})(?=@)")
"""``user:password@`` of an address, and a token in the user's place; a plain user name (``git@``) is none."""
_HOOK: Final = re.compile(
    r"(?<=://)((?:hooks?|webhooks?)\.[^/\s\"']+|[^/\s\"']+(?=/[^\s\"']*(?:web_?hooks?|/services/T[A-Z0-9]+))|"
    r"events\.pagerduty\.com|chat\.googleapis\.com)/[^\s\"',;}]+"
)
"""The address of an incoming webhook: who knows it may post, so its path is the secret."""
_QUERY: Final = re.compile(
    r"(?<=[?&])((?:access_?|auth_?|id_?|refresh_?)?token|api_?key|sig|signature|password|secret|key)=[^&\s\"']+", re.I
)
_NOT_SECRET: Final = frozenset({"", "true", "false", "null", "~", "none", "basic", "digest", "bearer", "oauth"})


def is_secret_name(name: str) -> bool:
    """Whether a key of this name holds a secret itself, and not the name of one."""
    word = _word(name)
    if _EXISTING.match(_word(name.rpartition(".")[2])):
        return False
    if _LAST.search(word):
        return True
    return bool(_SECRET.search(word)) and (bool(_HOLDS_ANYWAY.search(word)) or not only_refers(word))


def is_container_name(name: str) -> bool:
    """Whether all that lies below a key of this name is secret, unless it only refers to something.

    ``auth: {type: basic}`` is a section of settings, ``credentials: {user: a}`` is not.
    """
    return is_secret_name(name) and not _LAST.search(_word(name))


def only_refers(name: str) -> bool:
    """Whether a name says where something is, or how it is used, and not what it is."""
    return bool(_NAMES_ONE.search(name.lower()))


def names_secret(keys: Iterable[str]) -> bool:
    """Whether a value at this path is a secret by the name of it or of what it lies in."""
    path = [*keys]
    *above, last = path or [""]
    # A property of Spark or Kafka is one name with dots, which a path takes apart.
    return is_secret_name(".".join(path)) or (any(map(is_container_name, above)) and not only_refers(last))


def without_addresses(text: str, shown: str = HIDDEN) -> str:
    """The text with credentials in addresses replaced: user and password, tokens in queries, webhooks."""
    if "://" not in text:
        return text
    text = _HOOK.sub(lambda found: f"{found[1]}/{shown}", _USER_INFO.sub(shown, text))
    return _QUERY.sub(lambda found: f"{found[1]}={shown}", text)


def with_texts_covered(value: JsonValue, cover: str) -> JsonValue:
    """A document in which ``with_covered`` went over each text that may be a configuration of its own."""
    if isinstance(value, Mapping):
        return {key: with_texts_covered(item, cover) for key, item in value.items()}
    if isinstance(value, list):
        return [with_texts_covered(item, cover) for item in value]
    return with_covered(value, cover) if isinstance(value, str) and (":" in value or "=" in value) else value


_KEY: Final = re.compile(r"""(?<![\w.-])([\w.-]{0,80}\w)["']?\s*[:=]\s*""")
"""``key: value``, ``key=value`` and ``"key": "value"`` inside a text such as a configuration file."""
_VALUE: Final = re.compile(r"""(?P<quote>["'])(?:\\.|(?!(?P=quote)).)*(?P=quote)|[^\s{\[][^,;&}]*""")
_ENTRY: Final = re.compile(r"""\s*(?:- +)?["']?[\w./-]+["']?:(?:\s|$)""")
"""A key of a mapping in YAML."""
_BLOCK: Final = frozenset({"|", ">", "|-", ">-", "|+", ">+", ""})
"""What stands behind a key in YAML whose value is on the following lines."""


def with_covered(text: str, cover: str | None) -> str:
    """A text with the values of what looks like secrets inside replaced by ``cover``.

    ``cover`` None puts a ``*`` for each character, so that places in the text stay true.
    """
    return "\n".join(_lines(text.split("\n"), cover))


def _lines(lines: Iterable[str], cover: str | None) -> Iterator[str]:
    inside: int | None = None
    for line in lines:
        indent = len(line) - len(line.lstrip())
        below = inside is not None and (not line.strip() or indent > inside)
        # A section that is called like a secret may hold settings; where places must stay true, its keys are shown.
        if below and not (cover is None and _ENTRY.match(line)):
            yield " " * indent + _covered(line[indent:], cover) if line.strip() else line
            continue
        shown, begins_block = _line(_addresses(line, cover), cover)
        if not below or begins_block:
            inside = indent if begins_block else None
        yield shown


def _line(line: str, cover: str | None) -> tuple[str, bool]:
    """The line, and whether the value of a secret is on the lines below it."""
    text, at = "", 0
    while found := _KEY.search(line, at):
        text += line[at : found.end()]
        at = found.end()
        if not is_secret_name(found[1]):
            continue
        if line[at:].strip() in _BLOCK:
            return text + line[at:], not _LAST.search(_word(found[1]))
        value = _VALUE.match(line, at)
        if value and value[0].strip(" \"'").lower() not in _NOT_SECRET:
            quote = value["quote"] or ""
            inner = value[0][1:-1] if quote else value[0]
            text += f"{quote}{_covered(inner, cover)}{quote}"
            at = value.end()
    return text + line[at:], False


def _addresses(text: str, cover: str | None) -> str:
    if "://" not in text:
        return text
    if cover is not None:
        return without_addresses(text, cover)
    for pattern in (_USER_INFO, _QUERY):
        text = pattern.sub(lambda found: "*" * len(found[0]), text)
    return _HOOK.sub(lambda found: found[1] + "*" * (len(found[0]) - len(found[1])), text)


def _covered(text: str, cover: str | None) -> str:
    return "*" * len(text) if cover is None else cover


def _word(name: str) -> str:
    """``smtpPass``, ``smtp-pass`` and ``SMTP.PASS`` -> ``smtp_pass``."""
    apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name)
    return re.sub(r"[-. ]+", "_", apart).lower()
