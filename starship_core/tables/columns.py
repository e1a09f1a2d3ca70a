"""What columns are made of."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Integer, MetaData, Text

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

BigInt = BigInteger().with_variant(Integer(), "sqlite")  # SQLite numbers rows only in INTEGER keys


def identity() -> Column[int]:
    return Column("id", BigInt, primary_key=True, autoincrement=True)


def reference(name: str, target: str, *, nullable: bool = False) -> Column[int]:
    return Column(name, BigInt, ForeignKey(target), nullable=nullable)


def integer(name: str, default: int | None = None) -> Column[int]:
    return Column(
        name, BigInt, nullable=False, server_default=None if default is None else str(default)
    )


def maybe_integer(name: str) -> Column[int]:
    return Column(name, BigInt)


def string(name: str, default: str | None = None, *, unique: bool = False) -> Column[str]:
    return Column(name, Text, nullable=False, server_default=default, unique=unique)


def maybe_string(name: str) -> Column[str]:
    return Column(name, Text)


def flag(name: str, *, default: bool) -> Column[bool]:
    # 0/1, so that one statement text serves both databases
    return integer(name, int(default))  # type: ignore[return-value]  # a flag to whoever reads it
