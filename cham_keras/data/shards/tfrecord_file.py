"""TFRecord files: writing one that can be continued where it was left, and taking one apart.

Comes in: records as bytes. Goes out: a file as `tf.io.TFRecordWriter` would write it,
byte for byte. That writer cannot append, so a killed extraction could not go on inside
a shard; and it reports a full disk late. `shard_folder` writes shards with this one, and
`verify` takes them apart with `framed_records`, which goes on behind a damaged record.

The form is documented in TensorFlow's guide on TFRecord: length (uint64, little-endian),
masked CRC-32C of the length (uint32), the data, masked CRC-32C of the data.
"""

import hashlib
import os
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import google_crc32c

from cham_keras.files import write_all

#: Bytes that the form adds to a record.
FRAMING_BYTES = 16

# The length and its checksum; the checksum of the data.
_HEADER_BYTES = 12
_CHECKSUM_BYTES = 4


class TFRecordFile:
    """Writes one file.

    Args:
        path: the file; it is made, or continued where it exists.
        num_bytes: keep this many bytes of what is there; the rest is cut off.

    Raises:
        ValueError: the file has fewer bytes than `num_bytes`.
        OSError: the file cannot be written.
    """

    def __init__(self, path: Path, num_bytes: int = 0) -> None:
        self.path = path
        self.num_bytes = num_bytes
        self._sha256 = hashlib.sha256()
        held = path.stat().st_size if path.exists() else 0
        if held < num_bytes:
            raise ValueError(f"{path} must hold {num_bytes} bytes. Received: {held}.")
        # Unbuffered: what was written is with the operating system, whatever kills the process.
        self._file = path.open("r+b" if path.exists() else "w+b", buffering=0)
        self._file.truncate(num_bytes)
        self._file.seek(0)
        while block := self._file.read(1 << 20):
            self._sha256.update(block)

    def write(self, record: bytes) -> None:
        """Appends a record."""
        length = struct.pack("<Q", len(record))
        for part in (length, _masked_crc(length), record, _masked_crc(record)):
            write_all(self._file, part)
            self._sha256.update(part)
        self.num_bytes += FRAMING_BYTES + len(record)

    def sync(self) -> None:
        """Has the operating system write everything to the disk."""
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Closes the file; it may be closed already."""
        self._file.close()

    @property
    def sha256(self) -> str:
        """Checksum of what is in the file, in hexadecimal digits."""
        return self._sha256.hexdigest()


def _masked_crc(data: bytes) -> bytes:
    """The checksum turned by 15 bits and shifted by a constant, as the form asks."""
    crc = google_crc32c.value(data)
    return struct.pack("<I", (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF)


class DamagedFileError(ValueError):
    """Where a TFRecord file cannot be read further; says why."""


def framed_records(read: Callable[[int], bytes], num_bytes: int) -> Iterator[tuple[bytes, bool]]:
    """Takes a TFRecord file apart.

    Args:
        read: gives the next bytes of the file, as many as it is asked for; fewer at its end.
        num_bytes: size of the file.

    Yields:
        each record, and whether it agrees with its checksum. One that does not can be passed
        over, and those behind it are read.

    Raises:
        DamagedFileError: a record's length does not agree with its checksum, or the file ends
            inside a record.

    Example:
    >>> import io
    >>> file = io.BytesIO(bytes(7))
    >>> list(framed_records(file.read, 7))
    Traceback (most recent call last):
    cham_keras.data.shards.tfrecord_file.DamagedFileError: the file ends inside it.
    """
    position = 0
    while header := read(_HEADER_BYTES):
        if len(header) < _HEADER_BYTES:
            raise DamagedFileError("the file ends inside it.")
        if _masked_crc(header[:8]) != header[8:]:
            raise DamagedFileError("its length does not agree with the checksum.")
        length = struct.unpack("<Q", header[:8])[0]
        position += FRAMING_BYTES + length
        # Before so many bytes are asked for.
        if position > num_bytes:
            raise DamagedFileError("the file ends inside it.")
        record, checksum = read(length), read(_CHECKSUM_BYTES)
        if len(record) + len(checksum) < length + _CHECKSUM_BYTES:
            raise DamagedFileError("the file ends inside it.")
        yield record, _masked_crc(record) == checksum
