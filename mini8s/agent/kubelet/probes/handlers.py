"""PURE: what probes and hooks ask of a container, parsed once: ports are numbers, addresses are known."""

from __future__ import annotations

from dataclasses import dataclass

from mini8s.objects.kinds import Obj


@dataclass(frozen=True, slots=True)
class HttpGet:
    url: str
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class TcpSocket:
    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Grpc:
    """`service` is whose health is asked for; "" is the server's own."""

    host: str
    port: int
    service: str = ""


@dataclass(frozen=True, slots=True)
class Exec:
    container_id: str
    command: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Unknown:
    """What can't be asked, and why."""

    reason: str


def http(target: Obj, address: str, ports: Obj) -> HttpGet | Unknown:
    port = port_number(ports, target["port"])
    if port is None:
        return no_port(target["port"])
    host = target.get("host") or address
    scheme, path = str(target.get("scheme") or "HTTP").lower(), str(target.get("path") or "/")
    headers = tuple((one["name"], one["value"]) for one in target.get("httpHeaders") or ())
    shown = f"[{host}]" if ":" in host else host
    return HttpGet(f"{scheme}://{shown}:{port}/{path.removeprefix('/')}", headers)


def port_number(container: Obj, port: int | str) -> int | None:
    """A number, or the name of one of the container's ports."""
    if isinstance(port, int) or str(port).isdigit():
        return int(port)
    ports = container.get("ports") or ()
    return next((one["containerPort"] for one in ports if one.get("name") == port), None)


def no_port(port: int | str) -> Unknown:
    return Unknown(f"couldn't find port: {port}")


def resolved(container: Obj, handler: Obj) -> Obj:
    """A hook's handler that can do without its container's spec."""
    get = handler.get("httpGet")
    if not get or (port := port_number(container, get["port"])) is None:
        return handler
    return {**handler, "httpGet": {**get, "port": port}}
