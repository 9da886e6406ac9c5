"""Send the users of a file as bulk jobs; interrupted anywhere, it goes on. Needs neither typer nor rich."""

from rollbook_ops.importers.bulk_jobs import Users, import_users
from rollbook_ops.importers.checkpoint import Import, StateFile, fingerprint
from rollbook_ops.importers.documents import NotImportable
from rollbook_ops.importers.records import Format, Options
from rollbook_ops.importers.rejected_rows import RejectedRow, RejectedRows

__all__ = [
    "Format",
    "Import",
    "NotImportable",
    "Options",
    "RejectedRow",
    "RejectedRows",
    "StateFile",
    "Users",
    "fingerprint",
    "import_users",
]
