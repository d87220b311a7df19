import inspect
from collections.abc import Iterator
from contextlib import contextmanager

from minidb.api import origin
from minidb.api.origin import Origin, caller


def here(lines_ahead: int = 0) -> str:
    frame = inspect.currentframe()
    assert frame is not None
    assert frame.f_back is not None
    return f"{__file__}:{frame.f_back.f_lineno + lines_ahead}"


def test_the_caller_is_the_line_that_is_running() -> None:
    line = here(1)
    assert str(caller()) == line


def test_our_own_frames_and_context_managers_are_passed_over() -> None:
    @contextmanager
    def ours() -> Iterator[Origin | None]:
        yield caller()

    function = inspect.unwrap(ours)
    function.__code__ = function.__code__.replace(co_filename=f"{origin._INSIDE}api/invented.py")
    line = here(1)
    with ours() as found:
        assert str(found) == line


def test_a_place_without_a_line_is_that_of_its_function() -> None:
    code = test_a_place_without_a_line_is_that_of_its_function.__code__
    assert str(Origin(code, 10**6)) == f"{__file__}:{code.co_firstlineno}"
