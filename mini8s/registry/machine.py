"""The registry: one generic machine for all kinds.

Each verb is a file (`read`, `watch`, `write`, `delete`); this is where they are put together and where
subresources find their way. What differs between kinds is in `registry/kinds/`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from mini8s.objects.errors import MethodNotAllowed
from mini8s.objects.kinds import BINDINGS, PODS, SERVICEACCOUNTS, Kind, Obj
from mini8s.registry import allocators, binding, expiry, incoming, managing, patching, scale, versions
from mini8s.registry.base import Column, Context, DeleteOptions, Listed, ListOptions, WatchEvent
from mini8s.registry.commit import Committer
from mini8s.registry.delete import Deleter
from mini8s.registry.eviction import Evictor
from mini8s.registry.kinds import BY_KIND
from mini8s.registry.read import Reader
from mini8s.registry.token_requests import Issuer, TokenRequests
from mini8s.registry.watch import Watcher
from mini8s.registry.write import Desire, Writer
from mini8s.store.base import Store, Subscription
from mini8s.util.clock import Clock
from mini8s.wire.codec import decode_json, encode_json


class Machine:
    """Implements `registry.base.Registry`."""

    def __init__(
        self,
        store: Store,
        *,
        service_cidr: str,
        node_port_range: str,
        cluster_cidr: str,
        cluster_dns: str,
        clock: Clock,
        new_uid: Callable[[], str],
        new_suffix: Callable[[], str],
        node_masks: Mapping[str, int] = allocators.NODE_MASKS,
        issuer: Issuer | None = None,
    ) -> None:
        held = allocators.standard(
            store,
            service_cidr=service_cidr,
            node_port_range=node_port_range,
            cluster_cidr=cluster_cidr,
            cluster_dns=cluster_dns,
            node_masks=node_masks,
        )
        committer = Committer(store, held)
        self._clock = clock
        self._reader = Reader(store, BY_KIND)
        self._watcher = Watcher(store, BY_KIND, self._reader)
        self._writer = Writer(self._reader, BY_KIND, committer, new_uid=new_uid, new_suffix=new_suffix)
        self._deleter = Deleter(self._reader, BY_KIND, committer)
        self._evictor = Evictor(self._reader, self._writer, self._deleter)
        self._issuer = issuer
        self._tokens = TokenRequests(self._reader, issuer, new_uid) if issuer else None

    def get(self, kind: Kind, namespace: str, name: str, *, resource_version: str = "") -> bytes:
        value = self._reader.get(kind, namespace, name, resource_version=resource_version)
        return versions.shown_bytes(kind, value)

    def list(self, kind: Kind, namespace: str, options: ListOptions) -> Listed:
        return _shown(kind, self._reader.list(kind, namespace, options))

    def watch(
        self,
        kind: Kind,
        namespace: str,
        options: ListOptions,
        deliver: Callable[[Sequence[WatchEvent]], None],
    ) -> Subscription:
        def converted(events: Sequence[WatchEvent]) -> None:
            deliver([replace(event, value=versions.shown_bytes(kind, event.value)) for event in events])

        return self._watcher.watch(kind, namespace, options, converted if kind.storage else deliver)

    def create(self, ctx: Context, kind: Kind, namespace: str, obj: Obj) -> bytes:
        said, ctx = versions.to_store(ctx, kind, obj), versions.speaking(ctx, kind)
        made = versions.shown_bytes(kind, self._writer.create(ctx, kind.stored, namespace, said))
        if kind is PODS and self._issuer is not None and not ctx.dry_run:
            self._issuer.prepare()  # its node will ask for its token while it starts
        return made

    def update(
        self, ctx: Context, kind: Kind, namespace: str, name: str, obj: Obj, *, subresource: str = ""
    ) -> tuple[bytes, bool]:
        _check_subresource(kind, subresource)
        if subresource == "scale":
            return self._scale(ctx, kind, namespace, name, lambda _: obj), False
        said, ctx = versions.to_store(ctx, kind, obj), versions.speaking(ctx, kind)
        value, created = self._writer.update(ctx, kind.stored, namespace, name, said, subresource)
        return versions.shown_bytes(kind, value), created

    def patch(
        self,
        ctx: Context,
        kind: Kind,
        namespace: str,
        name: str,
        patch: Any,
        media_type: str,
        *,
        subresource: str = "",
    ) -> tuple[bytes, bool]:
        _check_subresource(kind, subresource)
        ctx = versions.speaking(ctx, kind)
        if media_type == patching.APPLY:
            return self._apply(ctx, kind, namespace, name, patch, subresource)
        change = patching.patch_for(media_type)

        def patched(obj: Obj) -> Obj:
            if subresource == "scale":
                return change(scale.SCALE, obj, patch)
            return versions.to_store(ctx, kind, change(kind, versions.shown(kind, obj), patch))

        with incoming.made_by(patch):
            if subresource == "scale":
                return self._scale(ctx, kind, namespace, name, patched), False
            value = self._writer.change(ctx, kind.stored, namespace, name, patched, subresource)
        return versions.shown_bytes(kind, value), False

    def delete(
        self, ctx: Context, kind: Kind, namespace: str, name: str, options: DeleteOptions
    ) -> tuple[bytes, bool]:
        value, gone = self._deleter.delete(ctx, kind.stored, namespace, name, options)
        return versions.shown_bytes(kind, value), gone

    def delete_collection(
        self, ctx: Context, kind: Kind, namespace: str, selection: ListOptions, options: DeleteOptions
    ) -> Listed:
        return _shown(kind, self._deleter.collection(ctx, kind, namespace, selection, options))

    def get_subresource(self, kind: Kind, namespace: str, name: str, subresource: str) -> bytes:
        _check_subresource(kind, subresource)
        value = self._reader.get(kind, namespace, name)
        return _as_scale(value) if subresource == "scale" else versions.shown_bytes(kind, value)

    def create_subresource(
        self, ctx: Context, kind: Kind, namespace: str, name: str, subresource: str, obj: Obj
    ) -> Obj:
        if (kind, subresource) == (PODS, "eviction"):
            return self._evictor.evict(ctx, namespace, name, obj)
        if (kind, subresource) == (SERVICEACCOUNTS, "token") and self._tokens is not None:
            return self._tokens.create(ctx, namespace, name, obj)
        if (kind, subresource) != (PODS, "binding"):
            raise _no_such(kind, subresource)
        said = incoming.parse(ctx, BINDINGS, obj)
        binding.check(said, name)

        def bound(pod: Obj) -> Obj:
            return binding.bound(pod, said, ctx.now)

        self._writer.change(
            ctx, kind, namespace, name, bound, subresource, way=binding.WAY, note=managing.left
        )
        return dict(binding.SUCCESS)

    def columns(self, kind: Kind) -> Sequence[Column]:
        return BY_KIND[kind].columns

    def expire(self) -> int:
        """Forget old events; called by the server about once a minute. How many went."""
        return expiry.expire(self._reader, self._deleter, self._clock.now())

    def _apply(
        self, ctx: Context, kind: Kind, namespace: str, name: str, config: Any, subresource: str
    ) -> tuple[bytes, bool]:
        if subresource == "scale":
            managing.check(scale.SCALE, config)
            stated = scale.config(kind, config)
        else:
            managing.check(kind, config)
            stated = versions.stated(kind, config)

        def desire(obj: Obj) -> Obj:
            return managing.applied(ctx, kind.stored, obj, stated, subresource)

        if not subresource:
            value, created = self._writer.apply(ctx, kind.stored, namespace, name, desire)
            return versions.shown_bytes(kind, value), created
        way = "" if subresource == "scale" else subresource
        value = self._writer.change(ctx, kind.stored, namespace, name, desire, way, note=managing.left)
        return _as_scale(value) if subresource == "scale" else versions.shown_bytes(kind, value), False

    def _scale(self, ctx: Context, kind: Kind, namespace: str, name: str, desire: Desire) -> bytes:
        def scaled(obj: Obj) -> Obj:
            return scale.onto(obj, incoming.parse(ctx, scale.SCALE, desire(scale.of(obj))))

        return _as_scale(self._writer.change(ctx, kind, namespace, name, scaled, note=managing.scaled))


def _as_scale(value: bytes) -> bytes:
    return encode_json(scale.of(decode_json(value)))


def _shown(kind: Kind, listed: Listed) -> Listed:
    if kind.storage is None:
        return listed
    return replace(listed, items=[versions.shown_bytes(kind, value) for value in listed.items])


def _check_subresource(kind: Kind, subresource: str) -> None:
    """`scale` is an object of its own; all others are ways to change the object itself."""
    ways = {"", "scale"} & {"", *kind.subresources} | set(BY_KIND[kind.stored].subresources)
    if subresource not in ways:
        raise _no_such(kind, subresource)


def _no_such(kind: Kind, subresource: str) -> MethodNotAllowed:
    return MethodNotAllowed(f"{kind.resource}/{subresource} does not serve this verb")
