"""Send the users of a file as bulk jobs; interrupted anywhere, it goes on. Needs neither typer nor rich."""

from rollbook.importing.documents import NotImportable
from rollbook.importing.records import Format, Options
from rollbook.importing.refusals import Refusal, Refusals
from rollbook.importing.sending import Users, import_users
from rollbook.importing.state import Import, StateFile, fingerprint

__all__ = [
    "Format",
    "Import",
    "NotImportable",
    "Options",
    "Refusal",
    "Refusals",
    "StateFile",
    "Users",
    "fingerprint",
    "import_users",
]
