"""What all conformance kits share: a check can be explained away, but not dropped in silence."""

from __future__ import annotations

from typing import Any

_AWAY = ("skip", "skipif", "xfail")


class Conformance:
    """Root of the kits. A kit is inherited whole; whoever cannot pass a check says why, in writing:

    `@pytest.mark.xfail(reason="…")` on a method of the same name is the one way to replace it.
    """

    def __init_subclass__(cls, **given: Any) -> None:
        super().__init_subclass__(**given)
        _refuse_class_marks(cls)
        for name, value in vars(cls).items():
            inherited = any(hasattr(base, name) for base in cls.__bases__)
            if name.startswith("test_") and inherited and not _explained(value):
                raise TypeError(
                    f"{cls.__name__}.{name} replaces a check of the kit; a check that cannot pass "
                    'is marked @pytest.mark.xfail(reason="why, and until when")'
                )


def advice(check: Any) -> str:
    """What to do when a check fails: the end of its docstring."""
    _, _, told = (check.__doc__ or "").partition("If this fails:")
    return " ".join(told.split())


def _refuse_class_marks(cls: type[Any]) -> None:
    marks = vars(cls).get("pytestmark", ())
    for mark in marks if isinstance(marks, list | tuple) else [marks]:
        if mark.name in _AWAY:
            raise TypeError(f"{cls.__name__}: {mark.name} on the whole kit takes every check away")
    if vars(cls).get("__test__") is False:
        raise TypeError(f"{cls.__name__}: __test__ = False takes every check away")


def _explained(value: Any) -> bool:
    """By a mark that says why."""
    marks = getattr(value, "pytestmark", ())
    reasons = [mark.kwargs.get("reason") for mark in marks if mark.name == "xfail"]
    return any(isinstance(reason, str) and reason.strip() for reason in reasons)
