"""What goes wrong with a request, before a service gives it the shape of its own."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any


class GatewayError(Exception):
    """A request that is not carried out.

    Args:
        message: for the client: what was got, what is expected, what to do.
        headers: of the answer.

    Attributes:
        status: HTTP status, where the service has no other for it.
        code: the kind of error in one word.
    """

    status = 500
    code = "internal_error"

    def __init__(self, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.headers = dict(headers or {})


class InvalidInputError(GatewayError):
    """The body of a request is wrong.

    Args:
        errors: what pydantic's ``ValidationError.errors()`` returns: ``loc`` (without "body"),
            ``msg``, ``type``, ``input`` and where it has one ``ctx``.
    """

    status = 400
    code = "invalid_input"

    def __init__(self, errors: Sequence[Mapping[str, Any]]) -> None:
        self.errors = [dict(error) for error in errors]
        super().__init__("; ".join(_line(error) for error in self.errors))

    @classmethod
    def at(cls, location: str, message: str, value: Any = None) -> InvalidInputError:
        """One field is wrong, for a reason that pydantic does not know."""
        return cls([{"loc": (location,), "msg": message, "type": "value_error", "input": value}])


class UnauthorizedError(GatewayError):
    """No key, or a wrong one."""

    status = 401
    code = "unauthorized"


class NotFoundError(GatewayError):
    """No such path, model, job or file, or another key's."""

    status = 404
    code = "not_found"


class NotAllowedError(GatewayError):
    """The path is right, the method is not."""

    status = 405
    code = "method_not_allowed"


class GoneError(GatewayError):
    """A file that was kept for as long as files are."""

    status = 410
    code = "gone"


class TooLargeError(GatewayError):
    """A body larger than what is taken."""

    status = 413
    code = "too_large"


class TooManyError(GatewayError):
    """A limit of the key is reached; ``Retry-After`` says for how long."""

    status = 429
    code = "too_many_requests"

    def __init__(self, message: str, retry_after: float) -> None:
        super().__init__(message, {"Retry-After": str(max(1, math.ceil(retry_after)))})


class BadRequestError(GatewayError):
    """A request that cannot be read as what it should be."""

    status = 400
    code = "bad_request"


def of_status(status: int, message: str, headers: Mapping[str, str]) -> GatewayError:
    """The error that stands for one of aiohttp's own, such as its 404 for an unknown path."""
    allow = {name: text for name, text in headers.items() if name.lower() == "allow"}
    kinds = (BadRequestError, NotFoundError, NotAllowedError, TooLargeError)
    for kind in kinds:
        if kind.status == status:
            return kind(message, allow)
    error = BadRequestError(message) if status < 500 else GatewayError(message)
    return error


def _line(error: Mapping[str, Any]) -> str:
    where = ".".join(str(part) for part in error["loc"])
    return f"{where}: {error['msg']}" if where else str(error["msg"])
