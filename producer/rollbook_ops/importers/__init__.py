"""Sends the users of a file as bulk jobs, and continues after an interruption. Needs neither typer nor rich."""

from rollbook_ops.importers.bulk_jobs import UserSink, import_users
from rollbook_ops.importers.checkpoint import Checkpoint, CheckpointFile, fingerprint
from rollbook_ops.importers.documents import NotImportable
from rollbook_ops.importers.reader import FileFormat, ImportOptions
from rollbook_ops.importers.rejected_rows import RejectedRow, RejectedRows

__all__ = [
    "Checkpoint",
    "CheckpointFile",
    "FileFormat",
    "ImportOptions",
    "NotImportable",
    "RejectedRow",
    "RejectedRows",
    "UserSink",
    "fingerprint",
    "import_users",
]
