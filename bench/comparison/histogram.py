"""HDR histograms as the load generator writes them: V2, zigzag, deflated, in base64."""

import base64
import struct
import zlib

COOKIE = 0x1C849303
COMPRESSED_COOKIE = 0x1C849304


class Histogram:
    """Values with their counts, smallest first."""

    def __init__(self, text: str):
        packed = base64.b64decode(text)
        cookie, length = struct.unpack_from(">ii", packed)
        if cookie & ~0xF0 != COMPRESSED_COOKIE & ~0xF0:
            raise ValueError("not a compressed V2 histogram")
        payload = zlib.decompress(packed[8 : 8 + length])
        _, size, _, digits, low, _, _ = struct.unpack_from(">iiiiqqd", payload)
        self.half_bits = (2 * 10**digits - 1).bit_length() - 1
        self.unit_bits = max(low, 1).bit_length() - 1
        self.counts = list(self._counts(payload[40 : 40 + size]))
        self.total = sum(count for _, count in self.counts)

    def _counts(self, encoded: bytes):
        at = index = 0
        while at < len(encoded):
            number, at = varint(encoded, at)
            number = (number >> 1) ^ -(number & 1)
            if number < 0:
                index -= number
                continue
            if number:
                yield self._value(index), number
            index += 1

    def _value(self, index: int) -> int:
        """The highest value that falls into a slot."""
        bucket = (index >> self.half_bits) - 1
        sub = (index & ((1 << self.half_bits) - 1)) + (1 << self.half_bits)
        if bucket < 0:
            sub -= 1 << self.half_bits
            bucket = 0
        shift = bucket + self.unit_bits
        return (sub << shift) + (1 << shift) - 1

    def at(self, quantile: float) -> float | None:
        """The value at a quantile; nothing of an empty one."""
        seen, wanted = 0, max(1, quantile * self.total)
        for value, count in self.counts:
            seen += count
            if seen >= wanted:
                return value
        return None


def varint(encoded: bytes, at: int) -> tuple[int, int]:
    """LEB128, whose ninth byte is a whole one; and where it ends."""
    number = shift = 0
    while True:
        byte = encoded[at]
        at += 1
        if shift == 56:
            return number | byte << shift, at
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, at
        shift += 7
