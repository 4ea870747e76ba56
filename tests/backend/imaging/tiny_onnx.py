"""An ONNX file written by hand: a stand-in for a network of a gigabyte."""

from __future__ import annotations


def channel_sum(size: int) -> bytes:
    """A network [1, 3, size, size] -> [1, 1, size, size] that answers with the sum of the three channels.

    Protocol buffers by the numbers of onnx.proto: a field is its number times eight plus its kind, 0 for a number and
    2 for bytes with their length before them.
    """
    axes = _text(1, "axes") + _number(8, 1) + _number(20, 7)  # integers
    node = _text(1, "x") + _text(2, "y") + _text(4, "ReduceSum") + _bytes(5, axes)
    graph = _bytes(1, node) + _text(2, "sum") + _bytes(11, _value("x", 3, size)) + _bytes(12, _value("y", 1, size))
    return _number(1, 8) + _bytes(7, graph) + _bytes(8, _number(2, 11))  # IR version 8, opset 11


def _value(name: str, channels: int, size: int) -> bytes:
    shape = b"".join(_bytes(1, _number(1, each)) for each in (1, channels, size, size))
    return _text(1, name) + _bytes(2, _bytes(1, _number(1, 1) + _bytes(2, shape)))  # 1: 32-bit floats


def _varint(value: int) -> bytes:
    parts = []
    while value > 127:
        parts.append(value & 127 | 128)
        value >>= 7
    return bytes([*parts, value])


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _bytes(field: int, value: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(value)) + value


def _text(field: int, value: str) -> bytes:
    return _bytes(field, value.encode())
