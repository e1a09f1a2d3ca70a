"""The deployment of the races, before any server runs."""

from tests.race.conftest import own_redis, unserved

__all__ = ["own_redis", "unserved"]
