"""Are a rival's answers right? Asked before anything is timed, through the very methods that are timed.

What must come back is foretold from ``bench.rows``, without a database. Digests of the answers, one for each part of
them, let whoever compares rivals see that they agree; a rival has none for what it lacks.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from hashlib import sha256
from itertools import count, islice
from pathlib import Path

from bench import rows
from bench.adapters.port import Ability, Answer, Rival
from bench.plan import FEW_ROWS, PAGE_ROWS, Changes, Plan
from bench.rows import Values

Person = tuple[int, Values]
"""An id, and the values of the row that has it."""


class WrongAnswerError(Exception):
    """A rival did other work than it was asked for: its times would mean nothing."""


def touched(values: Values) -> float:
    """Return what a rival adds up when it reads every value of a row by itself."""
    name, age, city, score, active = values
    return len(name) + age + len(city) + score + active


def check_answers(rival: Rival, plan: Plan) -> dict[str, str]:
    """Return the digests of the rival's answers on a database that was just filled. Changes nothing.

    Raises ``WrongAnswerError``.
    """
    lacks = rival.terms.lacks
    reads = {"read": rival.read_each}
    if Ability.SNAPSHOTS not in lacks:
        reads["read in a transaction"] = rival.read_in_transaction
    digests = {what: _check_reads(rival, plan, what, read) for what, read in reads.items()}
    if Ability.INDEXES not in lacks:
        digests["index"] = _check_index(rival, plan)
    ages = sum(rows.row(number)[1] for number in range(plan.count))
    scanned = rival.scan()
    require(scanned == (plan.count, ages), "a scan")
    return {**digests, "scan": repr(scanned)}


def _check_reads(rival: Rival, plan: Plan, what: str, read: Callable[[Sequence[int]], list[Answer]]) -> str:
    seen = sha256()
    for ids in plan.id_batches:
        plain = [rival.plain(answer) for answer in read(ids)]
        require(plain == [(row_id, rows.row(row_id - plan.first_id)) for row_id in ids], f"a {what}")
        seen.update(repr([(row_id - plan.first_id, values) for row_id, values in plain]).encode())
    return seen.hexdigest()


def _check_index(rival: Rival, plan: Plan) -> str:
    seen = sha256()
    city_rows = _by_city(plan)
    for city in plan.cities:
        plain = sorted(map(rival.plain, rival.rows_in_city(city)))
        require(plain == city_rows[city], "a read through the index")
        seen.update(repr([(row_id - plan.first_id, values) for row_id, values in plain]).encode())
        sum_touched = sum(touched(values) for _, values in city_rows[city])
        require(math.isclose(rival.touch_rows_in_city(city), sum_touched), "the sum of all values of a city")
    return seen.hexdigest()


def check_writes(rival: Rival, plan: Plan) -> dict[str, str]:
    """Return the digest of the rival's answers after update transactions of each kind.

    Leaves the rows as they were: the cities are changed and changed back. Raises ``WrongAnswerError``.
    """
    if Ability.TRANSACTIONS in rival.terms.lacks:
        return {}
    seen = sha256()
    changes = plan.changes[0]
    old_cities = [(row_id, rows.row(row_id - plan.first_id)[2]) for row_id, _ in changes]
    for update in (rival.update_each, rival.update_many):
        seen.update(_check_update(rival, plan, update, changes).encode())
        seen.update(_check_update(rival, plan, update, old_cities).encode())
    return {"updates with an index" if Ability.INDEXES not in rival.terms.lacks else "updates": seen.hexdigest()}


def _check_update(rival: Rival, plan: Plan, update: Callable[[Changes], None], changes: Changes) -> str:
    update(changes)
    seen = []
    changed = [rival.plain(answer) for answer in rival.read_each([row_id for row_id, _ in changes])]
    for (row_id, city), plain in zip(changes, changed, strict=True):
        name, age, _, score, active = rows.row(row_id - plan.first_id)
        require(plain == (row_id, (name, age, city, score, active)), "an updated row")
    for row_id, city in changes[:5] if Ability.INDEXES not in rival.terms.lacks else ():
        found = sorted(map(rival.plain, rival.rows_in_city(city)))
        require(row_id in {found_id for found_id, _ in found}, "an updated row, through the index")
        require(all(values[2] == city for _, values in found), "the rows of a city after an update")
        seen.append([(found_id - plan.first_id, values) for found_id, values in found])
    return repr(seen)


def check_inserted(rival: Rival, plan: Plan) -> None:
    """Check, after they were timed, that the rows of the single inserts are there. Raises ``WrongAnswerError``."""
    total = plan.count + plan.commits
    ages = sum(rows.row(number)[1] for number in range(total))
    require(rival.scan() == (total, ages), "a scan after single inserts")


def check_queries(rival: Rival, plan: Plan) -> dict[str, str]:
    """Return the digest of the rival's answers to queries, where the ages are indexed. Raises ``WrongAnswerError``."""
    by_age = sorted(_people(plan), key=lambda person: (person[1][1], person[0]))
    seen = sha256()

    def compare(what: str, answers: Iterable[Answer], foretold: list[Person]) -> None:
        plain = [rival.plain(answer) for answer in answers]
        require(plain == foretold, what)
        seen.update(repr([(row_id - plan.first_id, values) for row_id, values in plain]).encode())

    city_rows = _by_city(plan)
    for city in plan.cities:
        compare("rows of a city", sorted(rival.find_in_city(city), key=rival.plain), city_rows[city])
        compare("some rows of a city", rival.find_in_city(city, FEW_ROWS), city_rows[city][:FEW_ROWS])
        require(rival.count_in_city(city) == len(city_rows[city]), "a count")
    for low, high in plan.age_ranges:
        foretold = islice((person for person in by_age if low <= person[1][1] <= high), PAGE_ROWS)
        compare("rows of some ages", rival.find_by_ages(low, high, PAGE_ROWS), list(foretold))
    compare("the first rows by age", rival.first_by_age(PAGE_ROWS), by_age[:PAGE_ROWS])
    compare("the last rows by age", rival.last_by_age(PAGE_ROWS), by_age[: -PAGE_ROWS - 1 : -1])
    return {"queries": seen.hexdigest()}


def check_backup(rival: Rival, plan: Plan, folder: Path) -> None:
    """Check that the copy in this folder holds the plan's rows. Raises ``WrongAnswerError``."""
    ages = sum(rows.row(number)[1] for number in range(plan.count))
    require(rival.scan_backup(folder) == (plan.count, ages), "a scan of a backup")


def check_more_inserts(rival: Rival, plan: Plan, counts: Iterable[int]) -> None:
    """Check that rows and indexes hold what was inserted beside the plan's rows: each time so many, from the same on.

    Raises ``WrongAnswerError``.
    """
    new = [rows.row(number) for inserted in counts for number in range(plan.count, plan.count + inserted)]
    people = [rows.row(number) for number in range(plan.count)] + new
    require(rival.scan() == (len(people), sum(age for _, age, _, _, _ in people)), "a scan after more inserts")
    for city in sorted({city for _, _, city, _, _ in new})[:20]:
        found = sorted(values for _, values in map(rival.plain, rival.find_in_city(city)))
        require(found == sorted(values for values in people if values[2] == city), "more rows that were inserted")
    found_ages = [rival.plain(answer)[1][1] for answer in rival.find_by_ages(0, 99, len(people))]
    require(found_ages == sorted(age for _, age, _, _, _ in people), "the ages of more rows that were inserted")


def _people(plan: Plan) -> Iterator[Person]:
    """Yield the rows that a database is filled with, in order of id."""
    yield from zip(count(plan.first_id), rows.tuples(plan.count), strict=False)


def _by_city(plan: Plan) -> dict[str, list[Person]]:
    city_rows: dict[str, list[Person]] = {city: [] for city in rows.CITIES}
    for person in _people(plan):
        city_rows[person[1][2]].append(person)
    return city_rows


def require(is_right: bool, what: str) -> None:  # noqa: FBT001  # the one thing it is about
    """Raise ``WrongAnswerError`` unless it is."""
    if not is_right:
        raise WrongAnswerError(f"{what} did not return what was foretold")
