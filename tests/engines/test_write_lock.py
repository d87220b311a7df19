import threading

import pytest

from minidb.engines.write_lock import Hold, WriteLock
from minidb.exceptions import WriteTimeoutError


def test_a_hold_runs_each_step_once_however_often_it_is_released() -> None:
    steps: list[str] = []

    def interrupt() -> None:
        steps.append("interrupted")
        raise KeyboardInterrupt

    hold = Hold(lambda: steps.append("first"), interrupt, lambda: steps.append("last"))
    hold.release_first(lambda: steps.append("before"))
    with pytest.raises(KeyboardInterrupt):
        hold.release()
    hold.release()
    hold.release()
    assert steps == ["before", "first", "interrupted", "last"]


def test_a_hold_that_is_released_again_does_not_release_that_of_another() -> None:
    lock = WriteLock()
    first = lock.acquire(0)
    first.release()
    second = lock.acquire(0)
    first.release()
    with pytest.raises(WriteTimeoutError):
        lock.acquire(0)
    second.release()
    lock.acquire(0).release()


def test_the_own_thread_is_refused_at_once_and_another_one_waits() -> None:
    lock = WriteLock()
    hold = lock.acquire(0)
    with pytest.raises(WriteTimeoutError, match="wait for itself"):
        lock.acquire(600)
    acquired: list[Hold] = []
    thread = threading.Thread(target=lambda: acquired.append(lock.acquire(30)))
    thread.start()
    hold.release()
    thread.join()
    assert len(acquired) == 1
