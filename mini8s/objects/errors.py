"""The errors of the API, as one small tree.

A server raises them and turns them into a `Status` object; a client parses the `Status` and raises the same
type. So a conflict is `Conflict` on both ends of the wire, and who may retry reads it from the type
(`retry`). Source: Kubernetes API conventions, "Response Status Kind", and the reasons of
`metav1.StatusReason`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar


@dataclass(frozen=True, slots=True)
class Cause:
    """One reason for a refusal.

    `field` is a path such as `spec.containers[0].name`; `reason` one of FieldValueRequired,
    FieldValueInvalid, FieldValueNotSupported, FieldValueDuplicate, FieldValueForbidden, FieldValueTooLong,
    FieldValueTypeInvalid, FieldValueNotFound.
    """

    field: str
    message: str
    reason: str = "FieldValueInvalid"


class ApiError(Exception):
    """Something the API answers with a `Status` of kind Failure."""

    code: ClassVar[int] = 500
    reason: ClassVar[str] = "InternalError"
    retry: ClassVar[bool] = False  # may the same request succeed later, unchanged?

    def __init__(
        self,
        message: str,
        *,
        causes: Sequence[Cause] = (),
        group: str = "",
        kind: str = "",
        name: str = "",
        retry_after: int = 0,
        continue_token: str = "",
    ) -> None:
        super().__init__(message)
        self.message = message
        self.causes = tuple(causes)
        self.group = group
        self.kind = kind
        self.name = name
        self.retry_after = retry_after  # seconds, 0: not said
        self.continue_token = continue_token  # of what is left of a list that is too old

    def status(self) -> dict[str, Any]:
        """The `Status` object, ready to be encoded."""
        said = {"name": self.name, "group": self.group, "kind": self.kind}
        details: dict[str, Any] = {key: value for key, value in said.items() if value}
        if self.causes:
            details["causes"] = [
                {"reason": cause.reason, "message": cause.message, "field": cause.field}
                for cause in self.causes
            ]
        if self.retry_after:
            details["retryAfterSeconds"] = self.retry_after
        status: dict[str, Any] = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {"continue": self.continue_token} if self.continue_token else {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
            "code": self.code,
        }
        if details or self.code == NotFound.code:  # of a 404 kubectl reads them without asking
            status["details"] = details
        return status


class InternalError(ApiError):
    """A defect of ours or a broken disk; never the fault of the request."""


class BadRequest(ApiError):
    code, reason = 400, "BadRequest"


class Unauthorized(ApiError):
    code, reason = 401, "Unauthorized"


class Forbidden(ApiError):
    code, reason = 403, "Forbidden"


class NotFound(ApiError):
    code, reason = 404, "NotFound"


class MethodNotAllowed(ApiError):
    code, reason = 405, "MethodNotAllowed"


class NotAcceptable(ApiError):
    code, reason = 406, "NotAcceptable"


class AlreadyExists(ApiError):
    code, reason = 409, "AlreadyExists"


class Conflict(ApiError):
    """The object changed since it was read, or a precondition did not hold: read it again and decide
    again."""

    code, reason = 409, "Conflict"


class Expired(ApiError):
    """A revision or continue token older than what compaction left: list again."""

    code, reason = 410, "Expired"


class TooLarge(ApiError):
    code, reason = 413, "RequestEntityTooLarge"


class UnsupportedMediaType(ApiError):
    code, reason = 415, "UnsupportedMediaType"


class Invalid(ApiError):
    """Well formed, but against the rules of its kind; `causes` says which fields."""

    code, reason = 422, "Invalid"


class TooManyRequests(ApiError):
    code, reason, retry = 429, "TooManyRequests", True


class ServiceUnavailable(ApiError):
    code, reason, retry = 503, "ServiceUnavailable", True


class Timeout(ApiError):
    code, reason, retry = 504, "Timeout", True


_BY_REASON: dict[str, type[ApiError]] = {error.reason: error for error in ApiError.__subclasses__()}
_BY_CODE: dict[int, type[ApiError]] = {error.code: error for error in reversed(_BY_REASON.values())}


def from_status(status: dict[str, Any], http_code: int = 500) -> ApiError:
    """The error a `Status` stands for; an unknown reason falls back on the code, an unknown code on
    `InternalError`."""
    details = status.get("details") or {}
    kind = (
        _BY_REASON.get(status.get("reason", ""))
        or _BY_CODE.get(status.get("code") or http_code)
        or InternalError
    )
    return kind(
        status.get("message") or f"the server answered {http_code}",
        causes=[
            Cause(cause.get("field", ""), cause.get("message", ""), cause.get("reason", ""))
            for cause in details.get("causes") or ()
        ],
        group=details.get("group", ""),
        kind=details.get("kind", ""),
        name=details.get("name", ""),
        retry_after=details.get("retryAfterSeconds", 0),
        continue_token=(status.get("metadata") or {}).get("continue", ""),
    )
