"""The fields of calendar and clock."""

from __future__ import annotations

import datetime
from typing import ClassVar, Literal

from minidb.exceptions import FieldError
from minidb.schema.field import Errors, with_options
from minidb.schema.limits import RangedField


@with_options()
class DateTimeField(RangedField[datetime.datetime, datetime.datetime]):
    """A moment. Aware ones (with a time zone) and naive ones (without) cannot be compared: say which you want.

    ``min_value`` and ``max_value`` decide it too: with aware limits, ``timezone`` becomes True, with naive ones False.
    """

    timezone: bool | None = None
    """True: only aware values. False: only naive values. None: both."""

    stamp: Literal["created", "updated"] | None = None
    """The column holds when its row was inserted, or written last, in UTC. What a row gives for it counts for nothing.
    One field of a schema for each at most; ``timezone`` becomes True."""

    kind: ClassVar[str] = "datetime"
    noun: ClassVar[str] = "a datetime"

    @property
    def is_made(self) -> bool:
        return self.stamp is not None or super().is_made

    def declare_limits(self) -> None:
        if self.stamp not in (None, "created", "updated"):
            self.contradict('stamp must be "created" or "updated"')
        if self.stamp is not None:
            if self.timezone is False or self.min_value is not None or self.max_value is not None:
                self.contradict("a stamp is in UTC and has no limits")
            if self.primary_key or self.unique or self.computed or self.default_factory is not None:
                self.contradict("a stamp cannot be a primary key, unique, computed or have a default_factory")
            self.settle("timezone", value=True)
        if not (self.timezone is None or isinstance(self.timezone, bool)):
            self.contradict("The option timezone must be True, False or None")
        for limit in (self.min_value, self.max_value):
            if isinstance(limit, datetime.datetime):
                if self.timezone not in (None, is_aware(limit)):
                    self.contradict("timezone, min_value and max_value must agree on having a time zone")
                self.settle("timezone", is_aware(limit))
        super().declare_limits()

    def convert(self, value: object, path: str, errors: Errors) -> datetime.datetime | None:
        moment = plain_datetime(value)
        if moment is None:
            self.refuse_type(value, path, errors)
            return None
        if self.timezone is not None and is_aware(moment) != self.timezone:
            message = f"must {'have a time zone' if self.timezone else 'not have a time zone'}"
            errors.append(FieldError(path, "timezone", message, value))
            return None
        if not is_storable_moment(moment):
            errors.append(FieldError(path, "unstorable", UNSTORABLE_MOMENT, value))
            return None
        return moment


@with_options()
class DateField(RangedField[datetime.date, datetime.date]):
    """A day. A datetime is no date: take its ``.date()``."""

    kind: ClassVar[str] = "date"
    noun: ClassVar[str] = "a date"

    def convert(self, value: object, path: str, errors: Errors) -> datetime.date | None:
        day = plain_date(value)
        if day is None:
            self.refuse_type(value, path, errors)
        return day


@with_options()
class TimeField(RangedField[datetime.time, datetime.time]):
    """A time of day, without a time zone."""

    kind: ClassVar[str] = "time"
    noun: ClassVar[str] = "a time"

    def convert(self, value: object, path: str, errors: Errors) -> datetime.time | None:
        time = plain_time(value)
        if time is None:
            self.refuse_type(value, path, errors)
            return None
        if time.tzinfo is not None:
            errors.append(FieldError(path, "timezone", "must not have a time zone", value))
            return None
        return time


UNSTORABLE_MOMENT = "must lie between the years 1 and 9999 in UTC"


def is_aware(value: datetime.datetime) -> bool:
    return value.utcoffset() is not None


def is_storable_moment(value: datetime.datetime) -> bool:
    """Tell whether an aware datetime can be brought to UTC. A ``tzinfo`` without an offset makes neither kind."""
    if value.tzinfo is None or value.tzinfo is datetime.UTC:
        return True
    if value.utcoffset() is None:
        return False
    if 1 < value.year < 9999:  # no offset is a whole day
        return True
    try:
        value.astimezone(datetime.UTC)
    except OverflowError:
        return False
    return True


def plain_datetime(value: object) -> datetime.datetime | None:
    """Return a datetime of no subclass, or None when the value is no datetime."""
    if type(value) is datetime.datetime:
        return value
    if not isinstance(value, datetime.datetime):
        return None
    try:
        return datetime.datetime(
            value.year,
            value.month,
            value.day,
            value.hour,
            value.minute,
            value.second,
            value.microsecond,
            value.tzinfo,
            fold=value.fold,
        )
    except (TypeError, ValueError):  # the "not a time" of pandas calls itself a datetime and has a year that is NaN
        return None


def plain_date(value: object) -> datetime.date | None:
    """Return a date of no subclass, or None when the value is no date; a datetime is none."""
    if type(value) is datetime.date:
        return value
    if not isinstance(value, datetime.date) or isinstance(value, datetime.datetime):
        return None
    return datetime.date(value.year, value.month, value.day)


def plain_time(value: object) -> datetime.time | None:
    """Return a time of no subclass, or None when the value is no time."""
    if type(value) is datetime.time:
        return value
    if not isinstance(value, datetime.time):
        return None
    return datetime.time(value.hour, value.minute, value.second, value.microsecond, value.tzinfo, fold=value.fold)
