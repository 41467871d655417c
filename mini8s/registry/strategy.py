"""What differs between kinds: the strategy's contract.

The machine runs every kind through the same steps and asks the kind's strategy where they differ. A strategy
is a record of small functions, each of which has a default, so that a kind's file says only what is special
about it. Functions that prepare change the new object in place: the machine made it and nobody else has it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mini8s.objects import names, schema
from mini8s.objects.errors import Cause
from mini8s.objects.kinds import Kind, Obj
from mini8s.objects.schema.complete import complete
from mini8s.registry.base import Column
from mini8s.store.base import Durability

Prepare = Callable[[Obj], None]
PrepareUpdate = Callable[[Obj, Obj], None]  # new, old
Validate = Callable[[Obj], Iterable[Cause]]
ValidateUpdate = Callable[[Obj, Obj], Iterable[Cause]]  # new, old
Grace = Callable[[Obj, int | None], int]  # object, seconds asked for -> seconds given
Field = Callable[[Obj], str]


def leave(_: Obj) -> None:
    """Nothing to prepare."""


def leave_update(_new: Obj, _old: Obj) -> None:
    """Nothing to prepare."""


def accept(_: Obj) -> Iterable[Cause]:
    """Nothing to object to."""
    return ()


def accept_update(_new: Obj, _old: Obj) -> Iterable[Cause]:
    """Nothing to object to."""
    return ()


def put_back(new: Obj, old: Obj, part: str) -> None:
    """Make a top-level part of the new object what it was."""
    if part in old:
        new[part] = old[part]
    else:
        new.pop(part, None)


@dataclass(frozen=True, slots=True)
class Update:
    """One way to change an object: the whole of it, or through a subresource. `made_here`: what is wanted was
    made by us of what is stored, so that nothing in it can be of a wrong type."""

    prepare: PrepareUpdate = leave_update
    validate: ValidateUpdate = accept_update
    made_here: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Strategy:
    """`fields` are those that a field selector may use besides metadata.name and metadata.namespace; they
    read the object as it is stored, `columns` as it is served. Of a further version of a kind only these two
    count, and what it asks of the stored object besides: `validate_new` and the validation of `update`.

    `validate` has the rules of every object, `validate_new` those that only a new one must keep besides.
    `generation` gives the part of an object that makes its generation rise, None for kinds without one.
    `grace` says how long a deletion waits for whoever runs the object, None for kinds that go at once.
    `begin_deletion` marks an object that can not go yet, `finished` says whether it can (namespaces).
    `orphans`: a deletion that does not say what becomes of the dependents leaves them.
    `create_on_update`: a PUT where nothing is creates. `unconditional_update`: a PUT may leave out its
    resourceVersion.
    """

    kind: Kind
    columns: tuple[Column, ...]
    fields: Mapping[str, Field] = field(default_factory=dict)
    name_rule: Callable[[str], str | None] = names.dns_subdomain
    prepare_for_create: Prepare = leave
    validate: Validate = accept
    validate_new: Validate = accept
    update: Update = Update()
    subresources: Mapping[str, Update] = field(default_factory=dict)
    generation: Callable[[Obj], Any] | None = None
    grace: Grace | None = None
    begin_deletion: Prepare = leave
    finished: Callable[[Obj], bool] = lambda _: True
    orphans: bool = False
    create_on_update: bool = False
    unconditional_update: bool = True

    @property
    def durability(self) -> Durability:
        return Durability.EPHEMERAL if self.kind.ephemeral else Durability.LASTING


def selectable(*paths: str) -> dict[str, Field]:
    """Fields that are selected by the value at their own path."""
    return {path: _at(path) for path in paths}


def _at(path: str) -> Field:
    steps = path.split(".")

    def read(obj: Obj) -> str:
        value: Any = obj
        for step in steps:
            value = (value or {}).get(step)
        if isinstance(value, bool):
            return "true" if value else "false"
        return "" if value is None else str(value)

    return read


def spec(obj: Obj) -> Any:
    """What makes the generation of most kinds rise."""
    return obj.get("spec")


def keep_spec(new: Obj, old: Obj) -> None:
    """A status update changes nothing of the spec."""
    put_back(new, old, "spec")


def keep_status(new: Obj, old: Obj) -> None:
    """An update changes nothing of the status."""
    put_back(new, old, "status")


STATUS = {"status": Update(keep_spec)}


def empty_status(new: Obj) -> None:
    """A new object has no status yet, whatever its creator says; the counts that every status has are 0."""
    new["status"] = complete(
        schema.of_version_kind(new["apiVersion"], new["kind"]).field("status").schema, {}
    )
