"""Dates, datetimes and times as bytes that sort as they do. Part of the key format: see ``minidb.encoding.keys``.

    date     = 60 days{3}            the proleptic ordinal: 1 is 0001-01-01
    datetime = 62 microseconds{8}    without a time zone: since 0001-01-01T00:00
             | 64 microseconds{8}    with one: since 1970-01-01T00:00Z, plus 2**63
    time     = 66 microseconds{5}    since midnight

A datetime with a time zone is a moment: its encoding forgets the zone, and decoding gives UTC.
"""

from __future__ import annotations

import datetime as dt
from typing import Final

from minidb.encoding import type_codes
from minidb.exceptions import CorruptionError

_DATE: Final = type_codes.DATE << 24
_NAIVE_DATETIME: Final = type_codes.NAIVE_DATETIME << 64
_AWARE_DATETIME: Final = (type_codes.AWARE_DATETIME << 64) + (1 << 63)
_TIME: Final = type_codes.TIME << 40

_MICROSECOND: Final = dt.timedelta(microseconds=1)
_DAY_US: Final = dt.timedelta(days=1) // _MICROSECOND
_YEAR_ONE: Final = dt.datetime(1, 1, 1)  # noqa: DTZ001  it measures the datetimes that have no zone
_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_EPOCH_US: Final = (_EPOCH.replace(tzinfo=None) - _YEAR_ONE) // _MICROSECOND
_CALENDAR_US: Final = dt.date.max.toordinal() * _DAY_US


def encode_date(value: dt.date) -> bytes:
    return (_DATE + value.toordinal()).to_bytes(4, "big")


def decode_date(encoding: bytes) -> dt.date:
    ordinal = int.from_bytes(encoding, "big") - _DATE
    if not 1 <= ordinal <= dt.date.max.toordinal():
        raise CorruptionError("A stored key holds a date outside the calendar.")
    return dt.date.fromordinal(ordinal)


def encode_datetime(value: dt.datetime) -> bytes:
    if value.utcoffset() is None:
        return (_NAIVE_DATETIME + (value - _YEAR_ONE) // _MICROSECOND).to_bytes(9, "big")
    return (_AWARE_DATETIME + (value - _EPOCH) // _MICROSECOND).to_bytes(9, "big")


def decode_naive_datetime(encoding: bytes) -> dt.datetime:
    return _within_calendar(int.from_bytes(encoding, "big") - _NAIVE_DATETIME)


def decode_aware_datetime(encoding: bytes) -> dt.datetime:
    microseconds = int.from_bytes(encoding, "big") - _AWARE_DATETIME + _EPOCH_US
    # A moment of the calendar's first or last day in its own zone can lie outside the calendar in UTC. It comes back
    # in the outermost zone there is: the same moment, which no datetime in UTC can name.
    offset_us = 0
    if microseconds < 0:
        offset_us = _DAY_US - 1
    elif microseconds >= _CALENDAR_US:
        offset_us = 1 - _DAY_US
    zone = dt.timezone(dt.timedelta(microseconds=offset_us)) if offset_us else dt.UTC
    return _within_calendar(microseconds + offset_us).replace(tzinfo=zone)


def _within_calendar(microseconds: int) -> dt.datetime:
    if not 0 <= microseconds < _CALENDAR_US:
        raise CorruptionError("A stored key holds a datetime outside the calendar.")
    return _YEAR_ONE + dt.timedelta(microseconds=microseconds)


def encode_time(value: dt.time) -> bytes:
    if value.tzinfo is not None:
        # Its offset may depend on the date, so it has no place in an order.
        raise TypeError("A key cannot hold a time with a time zone.")
    seconds = (value.hour * 60 + value.minute) * 60 + value.second
    return (_TIME + seconds * 1_000_000 + value.microsecond).to_bytes(6, "big")


def decode_time(encoding: bytes) -> dt.time:
    microseconds = int.from_bytes(encoding, "big") - _TIME
    if microseconds >= _DAY_US:
        raise CorruptionError("A stored key holds a time beyond midnight.")
    return _within_calendar(microseconds).time()
