"""The tokens that pods call the API with: asked for once, kept, and renewed long before they end.

As upstream (`pkg/kubelet/token/token_manager.go`): a token is renewed when four fifths of its life, or a day,
have passed, a little earlier by chance so that not all are renewed at once; one that can't be renewed is good
until its end.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, MutableMapping
from datetime import datetime, timedelta
from random import SystemRandom

from mini8s.agent.kubelet.lookup import Missing
from mini8s.client.base import Api
from mini8s.objects import meta
from mini8s.objects.errors import ApiError
from mini8s.objects.kinds import Obj
from mini8s.objects.time import parse_time
from mini8s.util.clock import Clock

log = logging.getLogger(__name__)

USUAL_SECONDS = 3600  # the API's own default life
DAY_SECONDS = 24 * 3600.0
USED_SHARE = 0.8
MOST_JITTER_SECONDS = 10.0
RETRY_SECONDS = 10.0  # between tries to renew a token while its server is away
_RANDOM = SystemRandom().random


class AccountTokens:
    """See `volumes.base.Tokens`. `kept` holds what the server gave, by a key that begins with the pod's uid:
    a mapping that outlives the agent lets pods start while no server answers."""

    def __init__(
        self,
        api: Api,
        clock: Clock,
        kept: MutableMapping[str, Obj] | None = None,
        random: Callable[[], float] = _RANDOM,
    ) -> None:
        self._api, self._clock = api, clock
        self._random = random
        self._lock = threading.Lock()  # guards the two tables; never held while the server is asked
        self._kept = {} if kept is None else kept
        self._due: dict[str, datetime] = {}

    def token(self, pod: Obj, wish: Obj) -> str:
        key, now = _key(pod, wish), self._clock.now()
        with self._lock:
            known = self._kept.get(key)
            if known is not None:
                self._due.setdefault(key, self._due_time(known, wish))
            due = self._due.get(key, now)
        if known is None or due <= now or _is_over(known, now):
            known = self._renewed(key, pod, wish, known, now)
        return str(known["status"]["token"])

    def renew_in(self, uid: str) -> float | None:
        now = self._clock.now()
        with self._lock:
            due = [when for key, when in self._due.items() if key.startswith(f"{uid}/")]
        return max(1.0, (min(due) - now).total_seconds()) if due else None

    def forget(self, uid: str) -> None:
        with self._lock:
            for key in [key for key in {*self._kept, *self._due} if key.startswith(f"{uid}/")]:
                self._kept.pop(key, None)
                self._due.pop(key, None)

    def _renewed(self, key: str, pod: Obj, wish: Obj, known: Obj | None, now: datetime) -> Obj:
        account = str(pod["spec"].get("serviceAccountName") or "default")
        try:
            given = self._api.request_token(meta.namespace(pod), account, _request(pod, wish))
        except ApiError as error:
            with self._lock:
                self._due[key] = now + timedelta(seconds=RETRY_SECONDS)
            if known is None or _is_over(known, now):
                raise Missing(f"failed to fetch token: {error}") from error
            log.info("the token of %s is not renewed yet: %s", meta.key(pod), error)
            return known
        with self._lock:
            self._kept[key], self._due[key] = given, self._due_time(given, wish)
        return given

    def _due_time(self, given: Obj, wish: Obj) -> datetime:
        end = parse_time(given["status"]["expirationTimestamp"])
        asked = (given.get("spec") or {}).get("expirationSeconds") or wish.get("expirationSeconds")
        life = float(asked or USUAL_SECONDS)
        jitter = self._random() * MOST_JITTER_SECONDS
        used = min(life * USED_SHARE, DAY_SECONDS)
        return end - timedelta(seconds=life - used + jitter)


def _is_over(given: Obj, now: datetime) -> bool:
    return parse_time(given["status"]["expirationTimestamp"]) <= now


def _key(pod: Obj, wish: Obj) -> str:
    """Sources that wish for the same get the same."""
    said = [wish.get("audience") or "", wish.get("expirationSeconds")]
    return f"{meta.uid(pod)}/{json.dumps(said)}"


def _request(pod: Obj, wish: Obj) -> Obj:
    audience = wish.get("audience")
    return {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "metadata": {"name": str(pod["spec"].get("serviceAccountName") or "default")},
        "spec": {
            "audiences": [audience] if audience else [],
            "expirationSeconds": wish.get("expirationSeconds") or USUAL_SECONDS,
            "boundObjectRef": {
                "apiVersion": "v1",
                "kind": "Pod",
                "name": meta.name(pod),
                "uid": meta.uid(pod),
            },
        },
    }
