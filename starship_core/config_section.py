"""What every section of the core is made of."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final

from msgspec import Meta, Struct, structs

Count = Annotated[int, Meta(ge=1)]

_PASSWORD: Final = re.compile(r"(?<=://)([^/@:]*):[^/@]*@")


class Section(Struct, frozen=True, forbid_unknown_fields=True):
    """Root of every section of the core: a misspelt field is refused by name.

    Prints without the passwords of its URLs.
    """

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        values = ((info.name, getattr(self, info.name)) for info in structs.fields(self))
        return [
            (name, _PASSWORD.sub(r"\1:•••@", value) if isinstance(value, str) else value)
            for name, value in values
        ]

    def __repr__(self) -> str:
        inner = ", ".join(f"{name}={value!r}" for name, value in self.__rich_repr__())
        return f"{type(self).__name__}({inner})"
