"""Where the values of a serialised `tf.train.Example` lie in a file.

Comes in: a file, and from which byte to which an example stands in it. Goes out: its
short values, and the places of its long ones, which are not read. `shard_index` uses it.

The form is protocol buffers' own: an example is a message of messages, and each message
is a row of (tag, length, content). So whatever is of no interest can be jumped over.
"""

import struct
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

# Kinds of tf.train.Feature by the number of their field.
_BYTES, _FLOATS, _INTS = 1, 2, 3
# Tag of field 1 with a length: what stands before each value of a list of byte strings.
_TAG = b"\n"


class UnusualRecordError(ValueError):
    """A record is not of the form that `cham extract` writes; it may still be readable."""


class _List(NamedTuple):
    """The list of values of one feature."""

    kind: int
    begin: int
    end: int


class ExampleLayout:
    """One serialised example in a file.

    Args:
        file: a file that can be read at any place.
        begin: where the example begins.
        end: the first byte behind it.

    Raises:
        UnusualRecordError: what stands there is no example, or holds a key twice.
    """

    def __init__(self, file: BinaryIO, begin: int, end: int) -> None:
        self._file = file
        self._seek(begin)
        self._lists: dict[str, _List] = {}
        for _, features_end in self._fields(end):
            for _, entry_end in self._fields(features_end):
                self._find_list(entry_end)

    def string(self, key: str) -> str:
        """The one byte string of a feature, as text."""
        try:
            return self._single(key, _BYTES).decode()
        except UnicodeDecodeError as error:
            raise UnusualRecordError(f"its `{key}` is no text") from error

    def whole_number(self, key: str) -> int:
        """The one int64 of a feature."""
        num_bytes = len(self._single(key, _INTS))
        self._seek(self._value_begin)
        number = self._varint()
        if self._position != self._value_begin + num_bytes:
            raise UnusualRecordError(f"it has no single `{key}`")
        return number - (1 << 64) if number >> 63 else number

    def real_number(self, key: str) -> float:
        """The one float of a feature."""
        content = self._single(key, _FLOATS)
        if len(content) != 4:
            raise UnusualRecordError(f"it has no single `{key}`")
        return struct.unpack("<f", content)[0]

    def values_of_one_size(self, key: str) -> tuple[int, int, int]:
        """A feature's byte strings, which must all have the same length.

        Only the first one's and the last one's length are looked at, and the sum of all.

        Returns:
            the byte at which the header of the first value begins (`header_of_value`;
            the value follows it, then the next header), the number of values, and the
            bytes of each without its header.
        """
        _, begin, end = self._list(key, _BYTES)
        if begin == end:
            return begin, 0, 0
        self._seek(begin + len(_TAG))
        num_bytes = self._varint()
        header = header_of_value(num_bytes)
        number, rest = divmod(end - begin, len(header) + num_bytes)
        for offset in (begin, max(begin, end - num_bytes - len(header))):
            self._seek(offset)
            if rest or self._read(len(header)) != header:
                raise UnusualRecordError(f"the values of its `{key}` differ in size")
        return begin, number, num_bytes

    def _find_list(self, entry_end: int) -> None:
        """Reads an entry of the map from keys to features, all but the values."""
        key = values = None
        for field, part_end in self._fields(entry_end):
            if field == 1:
                key = self._read(part_end - self._position).decode(errors="replace")
            else:
                for kind, list_end in self._fields(part_end):
                    values = _List(kind, self._position, list_end)
        if key is None or values is None or key in self._lists:
            raise UnusualRecordError(f"its feature {key!r} does not stand there just once")
        self._lists[key] = values

    def _list(self, key: str, kind: int) -> _List:
        values = self._lists.get(key)
        if values is None or values.kind != kind:
            raise UnusualRecordError(f"it has no proper `{key}`")
        return values

    def _single(self, key: str, kind: int) -> bytes:
        _, begin, end = self._list(key, kind)
        self._seek(begin)
        values = []
        for _, value_end in self._fields(end):
            self._value_begin = self._position
            values.append(self._read(value_end - self._position))
        if len(values) != 1 or not (values[0] or kind == _BYTES):
            raise UnusualRecordError(f"it has no single `{key}`")
        return values[0]

    def _fields(self, end: int) -> Iterator[tuple[int, int]]:
        """Yields number and end of each field of a message, standing at its content."""
        while self._position < end:
            tag = self._varint()
            length = self._varint()
            field_end = self._position + length
            if tag & 7 != 2 or field_end > end:
                raise UnusualRecordError("it is no message of messages")
            yield tag >> 3, field_end
            self._seek(field_end)

    def _varint(self) -> int:
        """A whole number, 7 bits a byte, the lowest first."""
        value = 0
        for shift in range(0, 64, 7):
            (byte,) = self._read(1)
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
        raise UnusualRecordError("a number in it has no end")

    def _read(self, num_bytes: int) -> bytes:
        found = self._file.read(num_bytes)
        self._position += len(found)
        if len(found) != num_bytes:
            raise UnusualRecordError("the file ends within it")
        return found

    def _seek(self, position: int) -> None:
        self._file.seek(position)
        self._position = position


def header_of_value(num_bytes: int) -> bytes:
    """What stands before each value of a list of byte strings: a tag and the length.

    Example:
    >>> header_of_value(300).hex(" ")
    '0a ac 02'
    """
    length = bytearray()
    while num_bytes > 0x7F:
        length.append(num_bytes & 0x7F | 0x80)
        num_bytes >>= 7
    return _TAG + bytes([*length, num_bytes])
