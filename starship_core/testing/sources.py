"""The kit of inventory sources: what we promise about where vouchers come from."""

from __future__ import annotations

from contextlib import aclosing
from typing import Final

import pytest

from starship_core import Secret, Sku, Unavailable, Want
from starship_core.testing.hearing import heard
from starship_core.testing.kit import Conformance
from starship_core.testing.plug_case import called
from starship_core.testing.plug_facts import PlugChecks
from starship_core.testing.source_case import (
    CODES,
    WANTED,
    SourceCase,
    SourceStage,
    codes,
    filled,
    given,
    goods,
    long_codes,
    names_of,
    pulled,
    pulled_from,
    wanted,
)

__all__ = ["SourceCase", "SourceConformance"]

LONGEST_REFERENCE: Final = 200
STRANGER: Final = Sku(999_999_937, 100, "EUR")


class PullChecks(Conformance):
    """What comes, and as what."""

    pytestmark = pytest.mark.asyncio

    async def test_every_unit_comes(self, stage: SourceStage) -> None:
        """All that is there, and nothing else.

        If this fails: yield a `Voucher` for each unit that is not confirmed.
        """
        there = filled(stage)
        assert names_of(await pulled(stage, there)) == names_of(there)

    async def test_a_unit_is_what_it_is_there(self, stage: SourceStage) -> None:
        """Product, face value in minor units, currency, serial number.

        If this fails: make the `Sku` with `Money.of`, and never with a float.
        """
        there = filled(stage)
        right = {one.reference: goods(one) for one in there}
        for one in await pulled(stage, there):
            assert goods(one) == right.get(one.reference, goods(one))

    async def test_codes_come_whole(self, stage: SourceStage) -> None:
        """Letter by letter, each in its own field.

        If this fails: pass codes on as they are; strip nothing but what surrounds the field.
        """
        there = filled(stage)
        right = {one.reference: codes(one) for one in there}
        for one in await pulled(stage, there):
            assert codes(one) == right.get(one.reference, codes(one))

    async def test_codes_are_secrets(self, stage: SourceStage) -> None:
        """As text they would be printed with the voucher.

        If this fails: `Voucher(card_number=Secret(text), …)`.
        """
        vouchers = await pulled(stage, filled(stage))
        parts = [getattr(one, name) for one in vouchers for name in CODES]
        assert [type(part) for part in parts if not isinstance(part, Secret | None)] == []

    async def test_expiries_are_aware(self, stage: SourceStage) -> None:
        """A time of a zone, the one that is there; `NO_EXPIRY` for what never expires.

        If this fails: give the time its zone where it is read; a day means its last second.
        """
        there = filled(stage)
        right = {one.reference: one.expires_at for one in there}
        for one in await pulled(stage, there):
            assert one.expires_at.utcoffset() is not None, "a naive time"
            assert one.expires_at == right.get(one.reference, one.expires_at)

    async def test_references_name_one_unit_each(self, stage: SourceStage) -> None:
        """One line of text, and never the code: it stands in logs and reports.

        If this fails: use the source's id of the unit, or the place where it stands.
        """
        vouchers = await pulled(stage, filled(stage))
        names = [one.reference for one in vouchers]
        assert len(set(names)) == len(names)
        assert all(0 < len(name) <= LONGEST_REFERENCE and name.isprintable() for name in names)
        hidden = [code for one in vouchers for code in long_codes(one)]
        assert [code for code in hidden if any(code in name for name in names)] == []

    async def test_wants_invent_nothing(self, stage: SourceStage) -> None:
        """None wanted, or a sku that is not there: no failure, and no unit that does not exist.

        If this fails: a want is a hint; look up what there is.
        """
        there = filled(stage)
        for wants in ([], [Want(STRANGER, WANTED)]):
            async with stage.opened() as source:
                assert names_of(await given(source, wants)) <= names_of(there)

    async def test_a_place_that_is_away_is_unavailable(self, stage: SourceStage) -> None:
        """Not an empty stock, which would be believed.

        If this fails: raise `Unavailable`, with what cannot be reached.
        """
        there = filled(stage)
        stage.case.away(stage.folder)
        with pytest.raises(Unavailable):
            await pulled(stage, there)

    async def test_a_pull_tells_no_code(self, stage: SourceStage) -> None:
        """Not to a log, at any level, nor in the repr of anything, nor of what cannot be read.

        If this fails: keep codes in `Secret`, log references, complain by place and not by content.
        """
        there = filled(stage)
        hidden = [code for one in there for code in long_codes(one)]
        if stage.case.unreadable:
            hidden.append(stage.case.unreadable(stage.folder))
        with heard() as log:
            async with stage.opened() as source:
                await called(source.confirm([*names_of(await pulled_from(source, there))]))
                log += [repr(source), str(getattr(source, "passed_over", str)())]
        told = str(log) + str(stage.logged)
        assert [code for code in hidden if code in told] == []


class ConfirmChecks(Conformance):
    """A unit comes at least once until it is confirmed; whoever pulls may die at any moment."""

    pytestmark = pytest.mark.asyncio

    async def test_a_unit_keeps_its_name(self, stage: SourceStage) -> None:
        """The same reference is the same unit, in another process as well: it is how one that
        comes twice is known. A pull alone, as in a rehearsal, takes nothing away.

        If this fails: derive the reference from the unit, and never from the pull.
        """
        there = filled(stage)
        first, again = await pulled(stage, there), await pulled(stage, there)
        assert {one.reference: codes(one) for one in again} == {
            one.reference: codes(one) for one in first
        }

    async def test_what_is_confirmed_does_not_come_again(self, stage: SourceStage) -> None:
        """Once all of it is.

        If this fails: `confirm` keeps the references, on disk or at the source, before it returns.
        """
        there = filled(stage)
        async with stage.opened() as source:
            await called(source.confirm([*names_of(await pulled_from(source, there))]))
            assert names_of(await pulled_from(source, there)) == set()
        assert names_of(await pulled(stage, there)) == set()

    async def test_what_is_not_confirmed_comes_again(self, stage: SourceStage) -> None:
        """Every unit but the one that was confirmed.

        If this fails: settle units one by one, and not all that was pulled.
        """
        there = filled(stage)
        async with stage.opened() as source:
            first, *others = await pulled_from(source, there)
            await called(source.confirm([first.reference]))
        assert names_of(await pulled(stage, there)) >= names_of(others)

    async def test_a_pull_that_stops_loses_nothing(self, stage: SourceStage) -> None:
        """Whoever pulls may be killed after the first unit.

        If this fails: mark nothing as handed over before it is confirmed.
        """
        there = filled(stage)
        whole = names_of(await pulled(stage, there))
        async with stage.opened() as source:
            async with aclosing(source.pull(wanted(there))) as units:
                await anext(units)
            assert names_of(await pulled_from(source, there)) == whole
        assert names_of(await pulled(stage, there)) == whole

    async def test_confirming_again_changes_nothing(self, stage: SourceStage) -> None:
        """Nor does a name that was never offered, nor none: a confirmation may be repeated.

        If this fails: pass over what is confirmed or unknown.
        """
        there = filled(stage)
        whole = names_of(await pulled(stage, there))
        async with stage.opened() as source:
            await called(source.confirm([]))
            await called(source.confirm(["nobody's"]))
            assert names_of(await pulled_from(source, there)) == whole
            for _ in range(2):
                await called(source.confirm([*whole, "nobody's"]))
            assert names_of(await pulled_from(source, there)) == set()

    async def test_what_is_recalled_is_named(self, stage: SourceStage) -> None:
        """By its reference, each time it is asked, for a source that recalls.

        If this fails: answer with the references of `pull`; forget none, the core knows what is
        done.
        """
        there = filled(stage)
        async with stage.opened() as source:
            if not hasattr(source, "recalled"):
                return
            assert list(await called(source.recalled())) == []
            assert stage.case.recall is not None, "the case recalls nothing"
            stage.case.recall(stage.folder, there[0].reference)
            for _ in range(2):
                assert list(await called(source.recalled())) == [there[0].reference]

    async def test_what_is_passed_over_is_told(self, stage: SourceStage) -> None:
        """How many are confirmed and how many cannot be read, of the last pull, for a source that
        reports; and the others come all the same.

        If this fails: count anew in each pull, and go on after what cannot be read.
        """
        there = filled(stage)
        async with stage.opened() as source:
            if not hasattr(source, "passed_over"):
                return
            whole = names_of(await pulled_from(source, there))
            await called(source.confirm([*whole]))
            await pulled_from(source, there)
            assert [source.passed_over()[0], source.passed_over()[1]] == [len(whole), 0]
            assert stage.case.unreadable is not None, "the case has nothing that cannot be read"
            stage.case.unreadable(stage.folder)
            await pulled_from(source, there)
            known, unreadable, told = source.passed_over()
        assert (known, unreadable, len(told)) == (len(whole), 1, 1)
        assert told[0].isprintable()


class SourceConformance(PlugChecks, PullChecks, ConfirmChecks):
    """Inherit it with an empty body. Needs the fixture `case`."""
