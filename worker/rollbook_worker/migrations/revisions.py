"""Which revisions of the schema there are. Needs no Alembic, so that the doctor works where it is not installed."""

from __future__ import annotations

from importlib import resources


def newest_revision() -> str:
    """Return the newest revision: the number with which its file's name begins."""
    files = resources.files("rollbook_worker.migrations.versions").iterdir()
    return max(file.name.partition("_")[0] for file in files if file.name[:1].isdigit())
