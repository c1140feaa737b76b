"""Loads the statements of `queries/*.sql` by name."""

import re
from collections.abc import Mapping
from enum import IntEnum, unique
from importlib import resources
from types import MappingProxyType
from typing import Final

NAME_LINE: Final = re.compile(r"^-- name: (\w+)$", re.MULTILINE)


@unique
class AdvisoryLock(IntEnum):
    """Keys of the advisory locks that vcpd takes in a database: one kind never blocks another."""

    MIGRATION = 0x7663_7064_0001  # one process at a time changes the schema
    LEADER = 0x7663_7064_0002  # held by the daemon that schedules, as long as its connection lives
    RECORD = 0x7663_7064_0003  # one transaction at a time appends to the chain of reported setups
    RESTORE = 0x7663_7064_0004  # one process at a time replaces what is stored by a backup


def named_queries(noun: str) -> Mapping[str, str]:
    """The statements of `queries/<noun>.sql` by name. Raises ValueError when a name stands there twice."""
    text = resources.files("vcpd.store").joinpath("queries", f"{noun}.sql").read_text(encoding="utf-8")
    return MappingProxyType(parse_queries(text, noun))


def parse_queries(text: str, noun: str) -> dict[str, str]:
    _, *parts = NAME_LINE.split(text)
    names, statements = parts[::2], parts[1::2]
    if len(set(names)) != len(names):
        raise ValueError(f"{noun}.sql gives one name to two statements")
    return {
        name: statement.strip().removesuffix(";") for name, statement in zip(names, statements, strict=True)
    }
