"""What collections are spared, and for how long."""

import gc

import pytest

from starship_core.garbage import settled


def _fail_settled(frozen: list[int]) -> None:
    with settled():
        frozen.append(gc.get_freeze_count())
        raise RuntimeError


def test_what_was_there_is_left_out_until_the_block_ends() -> None:
    """Also when it ends by an exception."""
    frozen: list[int] = []
    with pytest.raises(RuntimeError):
        _fail_settled(frozen)
    assert frozen[0] > 1000
    assert gc.get_freeze_count() == 0


def test_a_process_that_froze_its_start_up_stays_as_it_is() -> None:
    """A pump within a server must not undo what the server did, nor freeze garbage of now."""
    gc.freeze()
    try:
        before = gc.get_freeze_count()
        made: list[list[int]] = [[] for _ in range(5000)]
        with settled():
            assert gc.get_freeze_count() <= before
        assert gc.get_freeze_count() > len(made)
    finally:
        gc.unfreeze()
