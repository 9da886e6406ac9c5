"""Sends the users of a file as bulk jobs, and continues after an interruption. Needs neither typer nor rich."""

from rollbook_ops.file_format import FileFormat, NotImportable
from rollbook_ops.importers.bulk_jobs import UserSink, import_users
from rollbook_ops.importers.checkpoint import Checkpoint, CheckpointFile, NoCheckpointFile, fingerprint
from rollbook_ops.importers.reader import ImportOptions, check_file
from rollbook_ops.importers.rejected_rows import RejectedRow, RejectedRows, Rejection, check_rejected_path
from rollbook_ops.importers.source_file import copied_stream, locked

__all__ = [
    "Checkpoint",
    "CheckpointFile",
    "FileFormat",
    "ImportOptions",
    "NoCheckpointFile",
    "NotImportable",
    "RejectedRow",
    "RejectedRows",
    "Rejection",
    "UserSink",
    "check_file",
    "check_rejected_path",
    "copied_stream",
    "fingerprint",
    "import_users",
    "locked",
]
