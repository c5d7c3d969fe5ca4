"""For plugin authors' tests: what adohub promises and expects, as something to run. Public."""

from __future__ import annotations

from adohub.testing.storage import CHECKS as STORAGE_CHECKS
from adohub.testing.storage import DURABLE_CHECKS as DURABLE_STORAGE_CHECKS
from adohub.testing.storage import Engine, check_storage

__all__ = ["DURABLE_STORAGE_CHECKS", "STORAGE_CHECKS", "Engine", "check_storage"]
