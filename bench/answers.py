"""Are a rival's answers right? Asked before anything is timed, through the very methods that are timed.

What must come back is foretold from ``bench.rows``, without a database. The digest of all answers lets whoever compares
rivals see that they agree.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from hashlib import sha256

from bench import rows
from bench.adapters.port import Rival
from bench.rows import Values
from bench.workloads import Changes, Plan


class WrongAnswerError(Exception):
    """A rival did other work than it was asked for: its times would mean nothing."""


def touched(values: Values) -> float:
    """Return what a rival adds up when it reads every value of a row by itself."""
    name, age, city, score, active = values
    return len(name) + age + len(city) + score + active


def check_answers(rival: Rival, plan: Plan) -> str:
    """Return the digest of the rival's answers on a database that was just filled. Changes nothing.

    Raises ``WrongAnswerError``.
    """
    seen = sha256()
    for ids in plan.id_batches:
        foretold = [(row_id, rows.row(row_id - plan.first_id)) for row_id in ids]
        for what, answers in (("a point read", rival.read_each(ids)), ("a read", rival.read_in_transaction(ids))):
            plain = [rival.plain(answer) for answer in answers]
            _require(plain == foretold, what)
            seen.update(repr([(row_id - plan.first_id, values) for row_id, values in plain]).encode())

    city_rows: dict[str, list[tuple[int, Values]]] = {city: [] for city in rows.CITIES}
    for number in range(plan.count):
        values = rows.row(number)
        city_rows[values[2]].append((number + plan.first_id, values))
    for city in plan.cities:
        plain = sorted(map(rival.plain, rival.rows_in_city(city)))
        _require(plain == city_rows[city], "a read through the index")
        seen.update(repr([(row_id - plan.first_id, values) for row_id, values in plain]).encode())
        sum_touched = sum(touched(values) for _, values in city_rows[city])
        _require(math.isclose(rival.touch_rows_in_city(city), sum_touched), "the sum of all values of a city")

    ages = sum(rows.row(number)[1] for number in range(plan.count))
    scanned = rival.scan()
    _require(scanned == (plan.count, ages), "a scan")
    seen.update(repr(scanned).encode())
    return seen.hexdigest()


def check_writes(rival: Rival, plan: Plan) -> str:
    """Return the digest of the rival's answers after update transactions of each kind.

    Leaves the rows as they were: the cities are changed and changed back. Raises ``WrongAnswerError``.
    """
    seen = sha256()
    changes = plan.changes[0]
    old_cities = [(row_id, rows.row(row_id - plan.first_id)[2]) for row_id, _ in changes]
    for update in (rival.update_each, rival.update_many):
        seen.update(_check_update(rival, plan, update, changes).encode())
        seen.update(_check_update(rival, plan, update, old_cities).encode())
    return seen.hexdigest()


def _check_update(rival: Rival, plan: Plan, update: Callable[[Changes], None], changes: Changes) -> str:
    update(changes)
    seen = []
    changed = [rival.plain(answer) for answer in rival.read_each([row_id for row_id, _ in changes])]
    for (row_id, city), plain in zip(changes, changed, strict=True):
        name, age, _, score, active = rows.row(row_id - plan.first_id)
        _require(plain == (row_id, (name, age, city, score, active)), "an updated row")
    for row_id, city in changes[:5]:
        found = sorted(map(rival.plain, rival.rows_in_city(city)))
        _require(row_id in {found_id for found_id, _ in found}, "an updated row, through the index")
        _require(all(values[2] == city for _, values in found), "the rows of a city after an update")
        seen.append([(found_id - plan.first_id, values) for found_id, values in found])
    return repr(seen)


def check_inserted(rival: Rival, plan: Plan) -> None:
    """Check, after they were timed, that the rows of the single inserts are there. Raises ``WrongAnswerError``."""
    count = plan.count + plan.commits
    ages = sum(rows.row(number)[1] for number in range(count))
    _require(rival.scan() == (count, ages), "a scan after single inserts")


def _require(is_right: bool, what: str) -> None:  # noqa: FBT001  # the one thing it is about
    if not is_right:
        raise WrongAnswerError(f"{what} did not return what was foretold")
