"""The order of JSON values: CouchDB's view collation, as bytes that compare the same way.

`sort_key` maps a value to bytes so that comparing two keys byte by byte orders the values as
CouchDB does: null < false < true < numbers < strings < arrays < objects. Arrays compare element
by element and a prefix comes first; objects compare pair by pair, key before value, in the order
in which the pairs were received. Strings follow ICU's root collator. Values that CouchDB finds
equal (1 and 1.0, "é" composed and decomposed) have one key.

How a key is built. Each value starts with a tag byte that ranks its type; tags lie strictly
between 0x00 and 0xff. A number is its double with the bits arranged to sort, then a residue that
is not empty only for integers which a double cannot hold, so that big integers keep their exact
order. A string is the collator's sort key, which contains no zero byte but its last. An array or
object is its members' keys and a closing zero. So no key is a prefix of another one, and
everything that starts with given array members lies between `array_prefix(members)` and
`above(array_prefix(members))`.

`raw_sort_key` does the same for `options.collation=raw`, Erlang's term order: numbers <
false < null < true < objects < arrays < strings, strings by their UTF-8 bytes. CouchDB orders
document ids like this, too.

Keys are stored on disk, but another version of ICU may weigh characters differently: an index
must be rebuilt when `COLLATION` changes.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Any, Final

try:
    import icu
except ImportError:  # the package has no wheel for every platform
    from replication.protocol import collation_fallback

    COLLATION: str = collation_fallback.COLLATION
    compare_strings: Callable[[str, str], int] = collation_fallback.compare_strings
    _string_weights: Callable[[str], bytes] = collation_fallback.string_weights
else:
    _collator = icu.Collator.createInstance(icu.Locale.getRoot())
    COLLATION = f"icu-{icu.ICU_VERSION}"
    compare_strings = _collator.compare
    _string_weights = _collator.getSortKey

_END = 0x00
_HIGH = b"\xff"

_NUMBER = b"\x20"
_COLLATED: Final[dict[object, bytes]] = {None: b"\x10", False: b"\x11", True: b"\x12"}
_STRING = b"\x30"
_ARRAY = b"\x40"
_OBJECT = b"\x50"

_RAW_NUMBER = b"\x10"
_RAW_ATOMS: Final[dict[object, bytes]] = {False: b"\x20", None: b"\x21", True: b"\x22"}
_RAW_OBJECT = b"\x30"
_RAW_ARRAY = b"\x40"
_RAW_STRING = b"\x50"

_EXACT_IN_DOUBLE = 2**53
_NO_RESIDUE, _POSITIVE_RESIDUE, _NEGATIVE_RESIDUE = b"\x80", b"\x81", b"\x7f"
_SIGN = 1 << 63
_ALL_BITS = (1 << 64) - 1

_pack_double = struct.Struct(">d").pack
_unpack_bits = struct.Struct(">Q").unpack
_pack_bits = struct.Struct(">Q").pack


def sort_key(value: Any) -> bytes:
    """Bytes that sort like the JSON value `value` does in a view. Never fails on decoded JSON."""
    cls = value.__class__
    if cls is str:
        return _STRING + _string_weights(value)
    if cls is list or cls is dict:
        return _container(value, _collated_scalar, _ARRAY, _OBJECT)
    return _collated_scalar(value)


def raw_sort_key(value: Any) -> bytes:
    """Bytes that sort like the JSON value `value` does in a view with raw collation."""
    if value.__class__ is list or value.__class__ is dict:
        return _container(value, _raw_scalar, _RAW_ARRAY, _RAW_OBJECT)
    return _raw_scalar(value)


def array_prefix(members: Iterable[Any]) -> bytes:
    """What the keys of all arrays begin with whose first members are `members`, and no other key.

    Sorts before the keys of all of them.
    """
    return _ARRAY + b"".join(map(sort_key, members))


def above(prefix: bytes) -> bytes:
    """A bound above every key that begins with `prefix`: a key, an `array_prefix`, or nothing."""
    return prefix + _HIGH


def _collated_scalar(value: Any) -> bytes:
    cls = value.__class__
    if cls is str:
        return _STRING + _string_weights(value)
    if cls is int or cls is float:
        return _NUMBER + _number(value)
    return _COLLATED[value]


def _raw_scalar(value: Any) -> bytes:
    cls = value.__class__
    if cls is str:
        # A zero byte inside is followed by 0xff, which no tag is: the closing zero sorts before it.
        utf8: bytes = value.encode("utf-8", "surrogatepass")
        return _RAW_STRING + utf8.replace(b"\x00", b"\x00\xff") + b"\x00"
    if cls is int or cls is float:
        return _RAW_NUMBER + _number(value)
    return _RAW_ATOMS[value]


def _container(value: Any, scalar: Callable[[Any], bytes], array: bytes, object_: bytes) -> bytes:
    # A loop with its own stack: a document may nest deeper than Python's call stack.
    key = bytearray()
    open_: list[Iterator[Any]] = [iter((value,))]
    while open_:
        for item in open_[-1]:
            if item.__class__ is list:
                key += array
                open_.append(iter(item))
                break
            if item.__class__ is dict:
                key += object_
                open_.append(chain.from_iterable(item.items()))
                break
            key += scalar(item)
        else:
            open_.pop()
            if open_:
                key.append(_END)
    return bytes(key)


def _number(value: float) -> bytes:
    residue = 0
    if value.__class__ is float:
        nearest = value + 0.0  # makes -0.0 the same as 0
    else:
        try:
            nearest = float(value)
        except OverflowError:
            nearest = math.inf if value > 0 else -math.inf
        if not -_EXACT_IN_DOUBLE <= value <= _EXACT_IN_DOUBLE:
            residue = int(value) - (0 if math.isinf(nearest) else int(nearest))
    (bits,) = _unpack_bits(_pack_double(nearest))
    sortable = _pack_bits(bits ^ (_ALL_BITS if bits & _SIGN else _SIGN))
    if residue == 0:
        return sortable + _NO_RESIDUE
    size = (abs(residue).bit_length() + 7) // 8
    magnitude = size.to_bytes(4) + abs(residue).to_bytes(size)
    if residue > 0:
        return sortable + _POSITIVE_RESIDUE + magnitude
    return sortable + _NEGATIVE_RESIDUE + bytes(255 - byte for byte in magnitude)
