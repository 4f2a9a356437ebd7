"""What a component's programs make and no release contains, named for one release. Pure."""

from __future__ import annotations

from sparkrig.catalog.references import Scope
from sparkrig.models.component import Component
from sparkrig.models.json import JsonObject, mapping_at
from sparkrig.models.objects import ObjectRef


def left_behind(component: Component, values: JsonObject, stack: str) -> tuple[ObjectRef, ...]:
    """The objects of the component's ``leaves``, as these values name them."""
    scope = Scope(component.name, component.release, component.namespace, stack, values)
    return tuple(_ref(mapping_at(scope.expand(rule))) for rule in component.leaves)


def _ref(named: JsonObject) -> ObjectRef:
    group, _, version = str(named["apiVersion"]).rpartition("/")
    return ObjectRef(group, version, str(named["kind"]), str(named.get("namespace", "")), str(named["name"]))
