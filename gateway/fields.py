"""Fields of requests: pydantic's lax reading, less what is no number, and bodies that are read."""

from __future__ import annotations

import asyncio
import json
import secrets
from typing import Annotated, Any, TypeVar

from aiohttp import web
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints
from pydantic import ValidationError as PydanticError
from pydantic_core import PydanticCustomError

from .compat import timeout
from .errors import BadRequestError, InvalidInputError, TooLargeError
from .job import MAX_SEED

BODY_SECONDS = 600.0
_SHOWN = 200  # letters of a wrong input that an error repeats
_MAX_PROMPT = 4000


class Input(BaseModel):
    """The body of a request; fields that are not known are ignored."""

    model_config = ConfigDict(extra="ignore", frozen=True)


def _no_bool(value: Any) -> Any:
    if isinstance(value, bool):
        raise PydanticCustomError("number_type", "Input should be a number, not true or false")
    return value


def _no_surrogate(value: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError:
        raise PydanticCustomError(
            "string_unicode", "Input should be a string of valid Unicode"
        ) from None
    return value


def _text(value: Any) -> Any:
    return _no_surrogate(value) if isinstance(value, str) else value


Number = Annotated[float, BeforeValidator(_no_bool), Field(allow_inf_nan=False)]
Integer = Annotated[int, BeforeValidator(_no_bool)]
Text = Annotated[str, BeforeValidator(_text)]
Prompt = Annotated[str, StringConstraints(max_length=_MAX_PROMPT), BeforeValidator(_text)]
Steps = Annotated[Integer, Field(ge=4, le=50)]
Cfg = Annotated[Number, Field(ge=0, le=20)]
Seed = Annotated[Integer, Field(ge=0, le=MAX_SEED)]
Duration = Annotated[Number, Field(ge=1, le=30)]

Model = TypeVar("Model", bound=BaseModel)


def random_seed(most: int = 65_535) -> int:
    """A seed for a request that names none."""
    return secrets.randbelow(most + 1)


def parse(model: type[Model], body: Any) -> Model:
    """``body`` as a ``model``.

    Raises:
        InvalidInputError: with pydantic's errors; long inputs are cut.
    """
    try:
        return model.model_validate(body)
    except PydanticError as error:
        found = error.errors(include_url=False)
        raise InvalidInputError([_plain(dict(item)) for item in found]) from None


async def read_json(request: web.Request) -> dict[str, Any]:
    """The body of a request, a JSON object.

    Raises:
        InvalidInputError: it is none.
        TooLargeError: it is larger than ComfyUI's ``--max-upload-size``.
        BadRequestError: it breaks off, or does not end in time.
    """
    try:
        async with timeout(BODY_SECONDS):
            raw = await request.read()
    except (web.RequestPayloadError, ConnectionError):  # wrongly compressed; the client has left
        raise BadRequestError("got a body that cannot be read to its end; send it again.") from None
    except asyncio.TimeoutError:
        raise BadRequestError(
            f"got no whole body within {BODY_SECONDS:g} s. Send the video's address instead of it."
        ) from None
    except web.HTTPRequestEntityTooLarge as error:
        raise TooLargeError(f"got a body that is too large: {error.text}") from None
    try:
        body = json.loads(raw.decode("utf-8"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise InvalidInputError(
            [{"loc": (), "msg": f"JSON decode error: {reason[:_SHOWN]}", "type": "json_invalid"}]
        ) from None
    if not isinstance(body, dict):
        raise InvalidInputError(
            [
                {
                    "loc": (),
                    "msg": "Input should be a valid dictionary",
                    "type": "dict_type",
                    "input": shortened(body),
                }
            ]
        )
    return body


def as_sent(model: type[BaseModel], body: dict[str, Any]) -> dict[str, Any]:
    """The fields of a ``model`` as a request gave them; of a data URI, the start."""
    return {
        name: shortened(value, letters=_SHOWN if _is_data(value) else _MAX_PROMPT)
        for name, value in body.items()
        if name in model.model_fields
    }


def _is_data(value: Any) -> bool:
    return isinstance(value, str) and value[:5].lower() == "data:"


def shortened(value: Any, depth: int = 4, letters: int = _SHOWN) -> Any:
    """``value`` as JSON that may be repeated to a client or kept: long texts and lists are cut."""
    if isinstance(value, str):
        text = value.encode("utf-8", "replace").decode()
        return text if len(text) <= letters else f"{text[:letters]}..."
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int):
        return value if abs(value) <= 2**64 else str(value)[:_SHOWN]
    if isinstance(value, float):
        return value if value == value and abs(value) != float("inf") else str(value)
    if depth == 0:
        return "..."
    if isinstance(value, dict):
        return {
            str(shortened(str(key))): shortened(item, depth - 1)
            for key, item in list(value.items())[:50]
        }
    if isinstance(value, (list, tuple)):
        return [shortened(item, depth - 1) for item in value[:50]]
    return shortened(repr(value))


def _plain(error: dict[str, Any]) -> dict[str, Any]:
    """An error of pydantic's that is JSON."""
    if "input" in error:
        error["input"] = shortened(error["input"])
    if "ctx" in error:
        error["ctx"] = shortened(error["ctx"])
    return error


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no number of JSON")
