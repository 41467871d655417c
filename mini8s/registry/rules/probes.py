"""Rules of probes and lifecycle hooks: exactly one way to ask, sane numbers."""

from __future__ import annotations

from mini8s.objects import names
from mini8s.objects.kinds import Obj
from mini8s.registry.problems import Causes, forbidden, invalid, named, required
from mini8s.registry.rules import values

_PROBE = ("exec", "httpGet", "tcpSocket", "grpc")
_HOOK = ("exec", "httpGet", "tcpSocket", "sleep")
_NUMBERS = ("initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold")


def check(container: Obj, field: str, *, allowed: bool = True) -> Causes:
    """All probes and hooks of a container; init containers that end may have none."""
    for part in ("livenessProbe", "readinessProbe", "startupProbe"):
        if container.get(part) is None:
            continue
        if not allowed:
            yield forbidden(
                f"{field}.{part}", "may not be set for init containers without restartPolicy=Always"
            )
        else:
            yield from _probe(container[part], f"{field}.{part}", readiness=part == "readinessProbe")
    for part, hook in (container.get("lifecycle") or {}).items():
        if not isinstance(hook, dict):
            continue
        path = f"{field}.lifecycle.{part}"
        if not allowed:
            yield forbidden(path, "may not be set for init containers without restartPolicy=Always")
        else:
            yield from _handler(hook, path, _HOOK)


def _probe(probe: Obj, field: str, *, readiness: bool) -> Causes:
    yield from _handler(probe, field, _PROBE)
    for part in _NUMBERS:
        yield from values.non_negative(probe, part, field)
    if not readiness and probe.get("successThreshold", 1) != 1:
        yield invalid(f"{field}.successThreshold", probe["successThreshold"], "must be 1")
    grace = "terminationGracePeriodSeconds"
    if readiness and probe.get(grace) is not None:
        yield invalid(f"{field}.{grace}", probe[grace], "must not be set for readinessProbes")
    else:
        yield from values.positive(probe, grace, field)


def _handler(holder: Obj, field: str, ways: tuple[str, ...]) -> Causes:
    given = [way for way in ways if holder.get(way) is not None]
    if not given:
        yield required(field, "must specify a handler type")
    for extra in given[1:]:
        yield forbidden(f"{field}.{extra}", "may not specify more than 1 handler type")
    if not given:
        return
    way, path = given[0], f"{field}.{given[0]}"
    if way == "exec" and not holder[way].get("command"):
        yield required(f"{path}.command")
    elif way == "httpGet":
        yield from _http(holder[way], path)
    elif way == "tcpSocket":
        yield from _port(holder[way], path)
    elif way == "grpc":
        yield from values.port_number(holder[way].get("port", 0), f"{path}.port")


def _http(get: Obj, field: str) -> Causes:
    yield from values.said(get, "path", field)
    yield from _port(get, field)
    yield from values.one_of(get, "scheme", field, ("HTTP", "HTTPS"))
    for index, header in enumerate(get.get("httpHeaders") or ()):
        name = header.get("name") or ""
        if not name or not name.isascii() or any(char.isspace() or char == ":" for char in name):
            why = "a valid HTTP header must consist of alphanumeric characters or '-'"
            yield invalid(f"{field}.httpHeaders[{index}].name", name, why)


def _port(holder: Obj, field: str) -> Causes:
    """A number, or the name of one of the container's ports."""
    port = holder.get("port", 0)
    if isinstance(port, int):
        yield from values.port_number(port, f"{field}.port")
    else:
        yield from named(f"{field}.port", port, names.port_name(port))
