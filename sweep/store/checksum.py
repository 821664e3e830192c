"""A checksum of a whole Parquet file, stored in it. Parquet's own checksums cover neither footer nor page headers.

It lies between the last page and the footer, where the format allows bytes that nothing points to. It is there twice:
damage to one copy must not make the file look like one without a checksum.
"""

from __future__ import annotations

import zlib

import pyarrow as pa

MARK = b"\0unlearn-sweep crc32\0"
SEAL = len(MARK) + 8


def sealed(content: bytes) -> bytes:
    """The bytes of a Parquet file, with their checksum inserted."""
    place = _footer(content)
    seal = MARK + b"%08x" % _checksum(content[:place], content[place:])
    return content[:place] + seal + seal + content[place:]


def verify(content: bytes) -> bool:
    """Verify a Parquet file; return whether it has a checksum. Files of other programs have none.

    Raises:
        ArrowInvalid: the file is not as it was written.
    """
    if MARK not in content:
        return False
    place = _footer(content)
    first, second = content[place - 2 * SEAL : place - SEAL], content[place - SEAL : place]
    expected = MARK + b"%08x" % _checksum(content[: place - 2 * SEAL], content[place:])
    if not first == second == expected:
        raise pa.ArrowInvalid("its checksum is wrong")
    return True


def _footer(content: bytes) -> int:
    """Where the footer begins. A file ends with the footer, the footer's length in four bytes, and four letters."""
    return max(2 * SEAL, len(content) - 8 - int.from_bytes(content[-8:-4], "little"))


def _checksum(head: bytes, tail: bytes) -> int:
    return zlib.crc32(tail, zlib.crc32(head))
