"""Mutants of the scripts of the Redis store, and of the statements of the Postgres store."""

from types import ModuleType

import pytest

from adapters import redis_scripts, store_postgres


def take_own_writes_of_redis_for_conflicts(patch: pytest.MonkeyPatch) -> None:
    _replace(patch, redis_scripts, "SWAP", "if etag == ARGV[2] then return {'done'} end", "")


def write_to_redis_without_a_condition(patch: pytest.MonkeyPatch) -> None:
    _replace(patch, redis_scripts, "SWAP", "if etag ~= ARGV[1] then", "if false then")


def write_to_postgres_without_a_condition(patch: pytest.MonkeyPatch) -> None:
    _replace(patch, store_postgres, "_REPLACE", "etag = %s RETURN", "%s::text IS NOT NULL RETURN")


def forget_the_date_in_postgres(patch: pytest.MonkeyPatch) -> None:
    date = "CASE WHEN %s::timestamptz IS NULL THEN due_at END"
    _replace(patch, store_postgres, "_REPLACE", "due_at = %s", f"due_at = {date}")


def _replace(
    patch: pytest.MonkeyPatch, module: ModuleType, name: str, part: str, other: str
) -> None:
    text = getattr(module, name)
    assert text.count(part) == 1, part
    patch.setattr(module, name, text.replace(part, other))
