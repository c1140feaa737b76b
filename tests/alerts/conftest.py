"""Every test of alerts that asks for `database` gets a real one of its own."""

from tests.postgres import database, migrated_template, postgres_server

__all__ = ["database", "migrated_template", "postgres_server"]
