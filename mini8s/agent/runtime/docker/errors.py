"""The engine's failures become the contract's errors here; no type of the SDK leaves this package."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus

import docker.errors
import requests.exceptions
import urllib3.exceptions

from mini8s.agent.runtime.base import (
    CreateFailed,
    EngineDown,
    EngineError,
    ImageNotPresent,
    ImagePullFailed,
    NoSuchContainer,
    RegistryAway,
)

_NO_ANSWER = (
    requests.exceptions.RequestException,
    urllib3.exceptions.HTTPError,
    http.client.HTTPException,
    ConnectionError,
)


class NameTaken(CreateFailed):
    """Another container has the name; only this package sees it."""


@contextmanager
def translated(refused: type[EngineError] = EngineError) -> Iterator[None]:
    """Run a call of the SDK; a refusal is raised as `refused`, no answer as EngineDown."""
    try:
        yield
    except docker.errors.ImageNotFound as error:
        raise ImageNotPresent(message(error)) from error
    except docker.errors.NotFound as error:
        raise NoSuchContainer(message(error)) from error
    except docker.errors.APIError as error:
        taken = error.status_code == HTTPStatus.CONFLICT and refused is CreateFailed
        raise (NameTaken if taken else refused)(message(error)) from error
    except docker.errors.DockerException as error:
        raise EngineDown(f"the container engine cannot be used: {error}") from error
    except _NO_ANSWER as error:
        raise EngineDown(f"the container engine doesn't answer: {error}") from error


# What Go's net and net/http say before a server has answered; the engine passes the sentence on.
_UNREACHED = ("dial tcp", "i/o timeout", "TLS handshake timeout", "while waiting for connection")


def pull_failed(sentence: str) -> ImagePullFailed:
    away = any(words in sentence for words in _UNREACHED)
    return (RegistryAway if away else ImagePullFailed)(sentence)


def message(error: docker.errors.APIError) -> str:
    """The engine's own sentence without the SDK's wrapping."""
    return f"Error response from daemon: {error.explanation or error}"
