"""Which Services a check asks: the one that it names, or each that carries labels."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from sparkrig.checks.kinds.base import Context, NotApplicable, NotYet, Wrong
from sparkrig.errors import AccessDenied
from sparkrig.models.json import annotations_of, name_of, text_at


@dataclass(frozen=True, slots=True)
class Asked:
    """A Service, by its name. ``annotations`` are read only where a check picks its Services by labels."""

    name: str
    annotations: Mapping[str, str] = field(default_factory=dict)


def services(context: Context) -> Sequence[Asked]:
    """The Service ``service``, or every one in the namespace that ``selector`` picks, by name.

    Raises:
        NotYet: there is none.
        Wrong: we may not look.
    """
    parameters = context.parameters
    if "service" in parameters:
        return (Asked(text_at(parameters, "service")),)
    path = f"/api/v1/namespaces/{context.namespace}/services"
    try:
        found = context.api.list(path, label_selector=text_at(parameters, "selector"))
    except AccessDenied as error:
        raise Wrong(error.message) from error
    if not found:
        raise NotYet(f"no Service in {context.namespace} has the labels {parameters['selector']}")
    each = (Asked(name_of(item), annotations_of(item)) for item in found)
    return sorted(each, key=lambda asked: asked.name)


def ask_each(context: Context, ask: Callable[[Asked], str]) -> str:
    """What ``ask`` says of each Service, in one sentence; the first that is not well ends it, with its name.

    Raises:
        NotApplicable: no Service had anything to be asked.
    """
    asked = services(context)
    if len(asked) == 1:
        return ask(asked[0])
    said, idle = [], 0
    for service in asked:
        try:
            said.append(f"{service.name}: {ask(service)}")
        except NotApplicable as error:
            said.append(f"{service.name}: {error}")
            idle += 1
        except (NotYet, Wrong) as error:
            raise type(error)(f"{service.name}: {error}") from error
    if idle == len(asked):
        raise NotApplicable("; ".join(said))
    return "; ".join(said)
