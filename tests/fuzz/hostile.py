"""Files that are made to take down whoever looks at them: small ones that claim to be large."""

from __future__ import annotations

import io
import json
import os
import pickletools
import struct
import zipfile
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import torch

from .mutate import NUMBERS

FLOW_KEY = "audio_input_proj.0.weight"  # by which a flow network is known
_TENSOR = b"ctorch._utils\n_rebuild_tensor_v2\n"
_MARK, _STOP = b"(", b"."


def hostile_files() -> dict[str, Callable[[Path], None]]:
    """By what they do, a function that writes such a file."""
    return {
        **{f"shape {shape}": _with_shape(shape) for shape in _SHAPES},
        "larger than the memory": _larger_than_memory,
        "header of 2^63 bytes": _raw(struct.pack("<Q", 2**63) + b"{}"),
        "header of 1 GB": _hollow(struct.pack("<Q", 10**9) + b"{", 2 * 10**9),
        "JSON nested 1,000,000 deep": _json(b'{"a":' + b"[" * 1_000_000),
        "JSON of 2,000,000 lists": _json(b'{"a":[' + b"[]," * 2_000_000 + b"[]]}"),
        "JSON number of 5,000 digits": _json(
            b'{"a":{"dtype":"F32","shape":[' + b"9" * 5000 + b'],"data_offsets":[0,0]}}'
        ),
        "key of 1 MB": _safetensors({"k" * 1_000_000: ([1], 4)}),
        "block number of 4,000 digits": _safetensors(
            {FLOW_KEY: ([8, 20, 7], 4480), f"joint_blocks.{'9' * 900}.x": ([1], 4)}
        ),
        "300 upsampling stages of 2^60": _safetensors(
            {
                "resblocks.0.activations.0.act.alpha": ([1], 4),
                "conv_pre.weight": ([0, 80, 7], 0),
                **{f"ups.{i}.0.weight": ([0, 1, 2**60], 0) for i in range(300)},
                **{f"resblocks.{i}.convs1.0.weight": ([0, 1, 3], 0) for i in range(300)},
            }
        ),
        "dict in itself": _pickle(b"}q\x00X\x01\x00\x00\x00ah\x00s"),
        "list in itself": _pickle(b"]q\x00h\x00a"),
        "nested 3,000 deep": _pickle(_nested_dicts(3000)),
        "nested 150,000 deep": _pickle(_nested_dicts(150_000)),
        "lists nested 300,000 deep": _pickle(b"]" * 300_000 + b"a" * 299_999),
        "2^28 leaves": _pickle(_doubled_dicts(28)),
        "2^28 leaves in lists": _pickle(b"]q\x00K\x01a" + _doubled(28, b"](h%ch%ceq%c")),
        "tuple of 2^40 leaves as a key": _pickle(
            b"}q\x00K\x01q\x01" + _doubled(40, b"h%ch%c\x86q%c", first=1) + b"K\x01sh\x00"
        ),
        "memo of 2^32": _pickle(b"}r\xff\xff\xff\xff"),
        "text of 4 GB": _pickle(b"X\xff\xff\xff\xff"),
        "bytearray of 1 TB": _pickle(
            b"c__builtin__\nbytearray\n" + b"\x8a\x06" + (10**12).to_bytes(6, "little") + b"\x85R"
        ),
        "2,000,000 instructions": _pickle(b"]" + b"Na" * 1_000_000),
        "items copied again and again": _pickle(
            b"]("
            + b"K\x01K\x02\x86" * 100_000
            + b"eq\x000"
            + b"ccollections\nOrderedDict\nh\x00\x85R0" * 100_000
            + b"}"
        ),
        "attributes copied again and again": _pickle(
            b"}("
            + b"".join(b"J" + struct.pack("<i", i) + b"N" for i in range(100_000))
            + b"uq\x00"
            + b"}h\x00b0" * 150_000
        ),
        "a long tuple as 100,000 shapes": _pickle(_long_shapes()),
        "long keys joined": _pickle(
            b"}X"
            + struct.pack("<I", 10**6)
            + b"k" * 10**6
            + b"}("
            + b"".join(b"J" + struct.pack("<i", i) + b"N" for i in range(100_000))
            + b"us"
        ),
        "a tensor of 2^40 elements from one": _pickle(_expanded(2**40, 0)),
        "a tensor past its storage": _pickle(_expanded(2**40, 1)),
        "code": _pickle(b"cos\nsystem\nX\x04\x00\x00\x00true\x85R"),
        "unpacks to 300 MB": _compressed,
        "claims to unpack to 1 TB": _claimed,
        "archive of 300,000 records": _many_records,
        "old pickle nested 3,000 deep": _raw(_legacy(_nested_dicts(3000), b"]")),
        "old pickle of 2^60 elements": _raw(_legacy(_tensor(2**60, b"a"), b"]X\x01\x00\x00\x00aa")),
        "old pickle with a tuple of 2^40 leaves as a storage": _raw(
            _legacy(b"}", b"]q\x00K\x01q\x01" + _doubled(40, b"h%ch%c\x86q%c", first=1) + b"a")
        ),
        "bare pickle": _raw(b"\x80\x02" + _nested_dicts(3000) + _STOP),
    }


_SHAPES: tuple[Any, ...] = (
    [2**62], [0, 2**63], [0, 2**62, 2**62], [2**64], [-1], [1e3], [True], [[1]], "1", None,
    {"a": 1}, [1] * 100, [0] * 100_000, ["1"],
)  # fmt: skip


def mutated_pickle(data: bytes, draw: Random) -> bytes:
    """A checkpoint, zip or older, with instructions of its pickle changed."""
    if not data.startswith(b"PK"):
        return _mutated_program(data[: 64 * 1024], draw) + data[64 * 1024 :]
    target = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as source, zipfile.ZipFile(target, "w") as changed:
        for info in source.infolist():
            record = source.read(info)
            if info.filename.endswith("/data.pkl"):
                record = _mutated_program(record, draw)
            changed.writestr(info.filename, record)
    return target.getvalue()


def _mutated_program(data: bytes, draw: Random) -> bytes:
    places = [place for _, _, place in pickletools.genops(data) if place is not None]
    places.append(data.index(_STOP, places[-1]) + 1)
    codes = [data[a:b] for a, b in pairwise(places)]
    rest = data[places[-1] :]
    for _ in range(draw.choice((1, 1, 2, 5, 30))):
        at = draw.randrange(len(codes))
        way = draw.randrange(7)
        if way == 0:
            del codes[at : at + draw.choice((1, 1, 2, 20))]
        elif way == 1:
            codes[at:at] = codes[draw.randrange(len(codes)) :][: draw.choice((1, 3, 40))]
        elif way == 2:
            codes.insert(at, bytes([draw.randrange(256)]))
        elif way == 3:
            other = draw.randrange(len(codes))
            codes[at], codes[other] = codes[other], codes[at]
        elif way == 4:
            size = draw.choice(NUMBERS)
            codes.insert(at, b"\x8a\x09" + size.to_bytes(9, "little"))
        elif way == 5:
            codes[at] = draw.choice((b"h\x00", b"h\x01", b"(", b"}", b"]", b")", b"N", b"K\x01"))
        else:
            named = [i for i, code in enumerate(codes) if code.startswith(b"c")]
            names = (b"cos\nsystem\n", b"ctorch\nSize\n", b"ctorch\nfloat8_e4m3fn\n", _TENSOR)
            for i in named[:1]:
                codes[i] = draw.choice(names)
        if not codes:
            codes = [_STOP]
    return b"".join(codes) + rest


def _raw(data: bytes) -> Callable[[Path], None]:
    return _hollow(data, len(data))


def _hollow(data: bytes, size: int) -> Callable[[Path], None]:
    """A file with a hole after ``data``, which takes no space on the disk."""

    def write(path: Path) -> None:
        path.write_bytes(data)
        os.truncate(path, size)

    return write


def _json(text: bytes) -> Callable[[Path], None]:
    return _raw(struct.pack("<Q", len(text)) + text)


def _safetensors(tensors: dict[str, tuple[Any, int]]) -> Callable[[Path], None]:
    """A file with tensors of a shape and of so many bytes."""
    entries: dict[str, Any] = {}
    end = 0
    for key, (shape, size) in tensors.items():
        entries[key] = {"dtype": "F32", "shape": shape, "data_offsets": [end, end + size]}
        end += size
    text = json.dumps(entries).encode()
    return _raw(struct.pack("<Q", len(text)) + text + bytes(end))


def _with_shape(shape: Any) -> Callable[[Path], None]:
    return _safetensors({FLOW_KEY: (shape, 0)})


def _larger_than_memory(path: Path) -> None:
    size = 2**42
    entry = {"dtype": "F32", "shape": [size // 4], "data_offsets": [0, size]}
    text = json.dumps({FLOW_KEY: entry}).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text)
    os.truncate(path, 8 + len(text) + size)


def _pickle(body: bytes) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("archive/data.pkl", b"\x80\x02" + body + _STOP)
            archive.writestr("archive/data/a", bytes(4))

    return write


def _nested_dicts(depth: int) -> bytes:
    return b"}X\x01\x00\x00\x00a" * depth + b"}" + b"s" * depth


def _doubled_dicts(times: int) -> bytes:
    """A dict that holds another one twice, and so on."""
    code = b"}q\x00"
    for n in range(times):
        held = bytes([n])
        code += b"}(X\x01\x00\x00\x00ah" + held + b"X\x01\x00\x00\x00bh" + held
        code += b"uq" + bytes([n + 1])
    return code


def _doubled(times: int, code: bytes, first: int = 0) -> bytes:
    return b"".join(
        code.replace(b"%c", bytes([n]), 2).replace(b"%c", bytes([n + 1]))
        for n in range(first, first + times)
    )


def _tensor(elements: int, key: bytes, shape: bytes = b"K\x01\x85", strides: bytes = b"K\x01\x85"):
    number = b"\x8a\x09" + elements.to_bytes(9, "little")
    storage = (
        b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX" + struct.pack("<I", len(key)) + key
        + b"X\x03\x00\x00\x00cpu" + number + b"tQ"
    )  # fmt: skip
    return (
        b"}X\x01\x00\x00\x00a" + _TENSOR + b"(" + storage + b"K\x00" + shape + strides + b"\x89NtRs"
    )


def _expanded(length: int, stride: int) -> bytes:
    shape = b"\x8a\x09" + length.to_bytes(9, "little") + b"\x85"
    return _tensor(1, b"a", shape, b"K" + bytes([stride]) + b"\x85")


def _long_shapes() -> bytes:
    long = b"(" + b"K\x01" * 100_000 + b"tq\x000"
    return long + b"}" + (_TENSOR + b"h\x00R0") * 25_000


def _legacy(root: bytes, keys: bytes) -> bytes:
    magic = b"\x8a\x0a" + 0x1950A86A20F9469CFC6C.to_bytes(10, "little")
    return b"".join(b"\x80\x02" + part + _STOP for part in (magic, b"M\xe9\x03", b"}", root, keys))


def _compressed(path: Path) -> None:
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("archive/data.pkl", "w") as record,
    ):
        record.write(b"\x80\x02")
        for _ in range(300):
            record.write(b"]" * 1_000_000)


def _claimed(path: Path) -> None:
    """A record whose size is only claimed."""
    _pickle(b"}")(path)
    data = bytearray(path.read_bytes())
    at = data.index(b"PK\x01\x02")
    data[at + 20 : at + 28] = b"\xfe\xff\xff\xff" * 2
    path.write_bytes(data)


def _many_records(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(300_000):
            archive.writestr(zipfile.ZipInfo(f"archive/{number}"), b"")


def small_checkpoints(folder: Path) -> list[Path]:
    """Intact checkpoints to mutate, zip and older, with every kind of object."""
    state = {f"blocks.{n}.weight": torch.zeros(2, 3) for n in range(4)}
    state |= {FLOW_KEY: torch.zeros(4, 20, 7).half(), "p": torch.nn.Parameter(torch.ones(3))}
    nested = {"model": state, "epoch": 3, "lr": [1e-4, 2], "name": "a", "on": True, "none": None}
    for name, old in (("zip.pth", False), ("old.pth", True)):
        torch.save(nested, folder / name, _use_new_zipfile_serialization=not old)
    return [folder / "zip.pth", folder / "old.pth"]
