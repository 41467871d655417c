"""Server-side apply: who manages which fields, and a configuration merged with that in mind.

`sets` is the algebra of field sets, `extent` finds them in objects, `merge` puts objects together and takes
them apart, `books` and `conflicts` are what is told of it, `updater` has the rules, `last_applied` is for
kubectl's sake, `check` is the door. All of it is pure; what a kind's lists and maps are is the schema's to
say.
"""

from __future__ import annotations

from mini8s.objects.apply.books import APPLY, UPDATE, Manager, Managers, decode, encode
from mini8s.objects.apply.check import problems
from mini8s.objects.apply.last_applied import apply_as_kubectl
from mini8s.objects.apply.updater import Writing, update

__all__ = [
    "APPLY",
    "UPDATE",
    "Manager",
    "Managers",
    "Writing",
    "apply_as_kubectl",
    "decode",
    "encode",
    "problems",
    "update",
]
