"""What a pickle of tensors describes, read without unpickling it.

A pickle is a program that builds objects. This interpreter knows the instructions and the names
that ``torch.save`` writes for tensors in containers, builds nothing but plain containers, and calls
nothing; it refuses the rest. Work and memory are bounded by the pickle's length: no instruction
allocates what it merely announces, and no object is compared, hashed or walked through.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import torch

from .stored import BrokenFileError, TensorInfo, sizes

_MAX_INSTRUCTIONS = 1_000_000  # a model here has 60,000 at most; half a second

_STORAGES: dict[str, torch.dtype] = {
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
    "UntypedStorage": torch.uint8,
}
_DTYPES = {f"torch.{k}": v for k, v in vars(torch).items() if isinstance(v, torch.dtype)}
_TENSORS = {f"torch._utils._rebuild_tensor{version}" for version in ("", "_v2", "_v3")}
_PARAMETERS = {
    "torch._utils._rebuild_parameter",
    "torch._utils._rebuild_parameter_with_state",
    "torch.nn.parameter.Parameter",
}
_DICTS = {"collections.OrderedDict", "collections.Counter"}
_SUBCLASS = "torch._tensor._rebuild_from_type_v2"  # of a function of these, and its arguments
_OTHERS = {  # what they make is not needed
    *("torch.Size", "torch.device", "torch.Tensor", "torch.serialization._get_layout"),
    *("_codecs.encode", "builtins.bytearray", "builtins.set", "builtins.complex"),
}
_NAMES = {*_DTYPES, *_TENSORS, *_PARAMETERS, *_DICTS, *_OTHERS, _SUBCLASS}
_MAX_ARGUMENTS = 16


class MoreThanTensorsError(Exception):
    """The pickle refers to a class or function that no tensor needs, so it could run code."""


@dataclass(frozen=True, eq=False)
class Storage:
    """The memory that tensors share: bytes in a record of the file.

    Attributes:
        key: of the record.
        elements: of ``dtype``; bytes if it is untyped.
    """

    key: str
    dtype: torch.dtype
    elements: int

    @property
    def nbytes(self) -> int:
        return self.elements * self.dtype.itemsize


@dataclass(frozen=True, eq=False)
class PickledTensor:
    """A tensor as a view of a storage, with an offset in elements."""

    storage: Storage
    dtype: torch.dtype
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def at(self, begin: int) -> TensorInfo:
        """The tensor if its storage begins at that byte of the file."""
        offset = begin + self.offset * self.dtype.itemsize
        return TensorInfo(shape=self.shape, dtype=self.dtype, offset=offset, strides=self.strides)


@dataclass(frozen=True, eq=False)
class _Name:
    """A class or function."""

    path: str


_OTHER = object()
"""Any object that is of no interest."""


class _Pickle:
    """A pickle as it is interpreted.

    Attributes:
        position: of the next instruction.
    """

    def __init__(self, data: bytes, position: int) -> None:
        self.data = data
        self.position = position
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}

    def take(self, count: int) -> bytes:
        self.position += count
        if self.position > len(self.data):
            raise BrokenFileError("its pickle ends early", incomplete=True)
        return self.data[self.position - count : self.position]

    def number(self, layout: str) -> Any:
        return struct.unpack(layout, self.take(struct.calcsize(layout)))[0]

    def line(self) -> str:
        end = self.data.index(b"\n", self.position)
        return self.take(end + 1 - self.position)[:-1].decode()

    def above_mark(self) -> list[Any]:
        begin = self.marks.pop()
        items = self.stack[begin:]
        del self.stack[begin:]
        return items


def read_pickle(data: bytes, position: int = 0) -> tuple[Any, int]:
    """The object that a pickle describes, of dicts, lists, tuples, scalars and ``PickledTensor``.

    It may hold itself, and an object may be in several places.

    Args:
        data: where the pickle is.
        position: at which it begins.

    Returns:
        The object and the position after the pickle.

    Raises:
        BrokenFileError: it is damaged, or longer than that of any model.
        MoreThanTensorsError: it holds something else.
    """
    state = _Pickle(data, position)
    try:
        for _ in range(_MAX_INSTRUCTIONS):
            code = state.take(1)
            if code == b".":
                return state.stack.pop(), state.position
            instruction = _INSTRUCTIONS.get(code)
            if instruction is None:
                raise MoreThanTensorsError(f"instruction {code!r}")
            instruction(state)
    except (IndexError, KeyError, ValueError, TypeError, struct.error) as error:
        raise BrokenFileError(f"its pickle is damaged ({type(error).__name__})") from None
    raise BrokenFileError("its pickle is longer than that of any model")


def _name(state: _Pickle) -> None:
    module, name = state.line(), state.line()
    path = f"{'builtins' if module == '__builtin__' else module}.{name}"
    if path not in _NAMES and _storage_dtype(path) is None:
        raise MoreThanTensorsError(path[:100])
    state.stack.append(_Name(path))


def _storage_dtype(path: str) -> torch.dtype | None:
    module, _, name = path.rpartition(".")
    return _STORAGES.get(name) if module in ("torch", "torch.storage") else None


def _persistent(state: _Pickle) -> None:
    """A storage: ("storage", its class, key, device, elements)."""
    kind, of, key, _device, elements, *view = _arguments(state)
    dtype = _storage_dtype(of.path) if isinstance(of, _Name) else None
    if kind != "storage" or dtype is None or not isinstance(key, str) or any(view):
        raise BrokenFileError("it has a storage of an unknown kind")
    (elements,) = sizes((elements,), "the size of a storage")
    state.stack.append(Storage(key, dtype, elements))


def _call(state: _Pickle) -> None:
    arguments, function = _arguments(state), state.stack.pop()
    if not isinstance(function, _Name):
        raise BrokenFileError("its pickle calls what is no function")
    path = function.path
    if path == _SUBCLASS and isinstance(arguments[0], _Name):
        path, _, arguments, *_ = (arguments[0].path, *arguments[1:])
    state.stack.append(_result(path, arguments))


def _arguments(state: _Pickle) -> tuple[Any, ...]:
    arguments = state.stack.pop()
    if not isinstance(arguments, tuple) or len(cast(tuple[Any, ...], arguments)) > _MAX_ARGUMENTS:
        raise BrokenFileError("its pickle calls a function with no or too many arguments")
    return cast(tuple[Any, ...], arguments)


def _result(path: str, arguments: tuple[Any, ...]) -> Any:
    if path in _DICTS:
        return {}  # its items follow
    if path in _PARAMETERS:
        return arguments[0]
    if path in _TENSORS:
        return _tensor(arguments)
    return _OTHER


def _tensor(arguments: tuple[Any, ...]) -> PickledTensor:
    storage, offset, shape, strides, *rest = arguments
    if not isinstance(storage, Storage):
        raise BrokenFileError("it has a tensor without a storage")
    named = rest[2] if len(rest) > 2 else None
    dtype = _DTYPES.get(named.path) if isinstance(named, _Name) else None
    shape, strides = sizes(shape, "the shape of a tensor"), sizes(strides, "the strides")
    (offset,) = sizes((offset,), "the offset of a tensor")
    if len(shape) != len(strides):
        raise BrokenFileError("it has a tensor of another shape than its strides")
    tensor = PickledTensor(storage, dtype or storage.dtype, offset, shape, strides)
    info = tensor.at(0)
    if info.offset + info.elements * tensor.dtype.itemsize > storage.nbytes:
        raise BrokenFileError("it has a tensor that is larger than its storage")
    count = 1
    for length in shape:
        count *= length
    if count * tensor.dtype.itemsize > storage.nbytes:  # repeated by strides of 0
        raise BrokenFileError("it has a tensor with more elements than its storage")
    return tensor


def _put(target: dict[Any, Any], key: Any, value: Any) -> None:
    """Set an item; one with a tuple as its key is no tensor's, and could take forever to hash."""
    if isinstance(key, (str, int)):
        target[key] = value


def _put_all(state: _Pickle, items: list[Any]) -> None:
    target = state.stack[-1]
    if isinstance(target, dict):
        for key, value in zip(items[::2], items[1::2], strict=True):
            _put(cast(dict[Any, Any], target), key, value)


def _append_all(state: _Pickle, items: list[Any]) -> None:
    target = state.stack[-1]
    if isinstance(target, list):
        cast(list[Any], target).extend(items)


def _tuple(state: _Pickle, count: int) -> None:
    items = tuple(state.stack[-count:])
    if len(items) < count:
        raise IndexError
    del state.stack[-count:]
    state.stack.append(items)


def _push(make: Callable[[_Pickle], Any]) -> Callable[[_Pickle], None]:
    return lambda state: state.stack.append(make(state))


def _text(layout: str) -> Callable[[_Pickle], Any]:
    return lambda state: state.take(state.number(layout)).decode(errors="replace")


def _memorize(layout: str) -> Callable[[_Pickle], None]:
    return lambda state: state.memo.__setitem__(state.number(layout), state.stack[-1])


_INSTRUCTIONS: dict[bytes, Callable[[_Pickle], Any]] = {
    b"\x80": lambda state: state.take(1),  # protocol
    b"c": _name,
    b"Q": _persistent,
    b"R": _call,
    b"\x81": _call,  # of a class
    b"b": lambda state: state.stack.pop(),  # attributes, such as a state dict's _metadata
    b"(": lambda state: state.marks.append(len(state.stack)),
    b"}": _push(lambda _: {}),
    b"]": _push(lambda _: []),
    b")": _push(lambda _: ()),
    b"\x8f": _push(lambda _: _OTHER),  # a set
    b"t": lambda state: state.stack.append(tuple(state.above_mark())),
    b"\x85": lambda state: _tuple(state, 1),
    b"\x86": lambda state: _tuple(state, 2),
    b"\x87": lambda state: _tuple(state, 3),
    b"s": lambda state: _put_all(state, [state.stack.pop(-2), state.stack.pop()]),
    b"u": lambda state: _put_all(state, state.above_mark()),
    b"a": lambda state: _append_all(state, [state.stack.pop()]),
    b"e": lambda state: _append_all(state, state.above_mark()),
    b"q": _memorize("<B"),
    b"r": _memorize("<I"),
    b"h": _push(lambda state: state.memo[state.number("<B")]),
    b"j": _push(lambda state: state.memo[state.number("<I")]),
    b"X": _push(_text("<I")),
    b"U": _push(_text("<B")),
    b"N": _push(lambda _: None),
    b"\x88": _push(lambda _: True),
    b"\x89": _push(lambda _: False),
    b"J": _push(lambda state: state.number("<i")),
    b"K": _push(lambda state: state.number("<B")),
    b"M": _push(lambda state: state.number("<H")),
    b"G": _push(lambda state: state.number(">d")),
    b"\x8a": _push(
        lambda state: int.from_bytes(state.take(state.number("<B")), "little", signed=True)
    ),
}
"""By the pickle protocol's code; those that ``torch.save`` uses with its default protocol, 2."""
