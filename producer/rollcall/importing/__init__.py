"""Send the users of a file as bulk jobs; interrupted anywhere, it goes on. Needs neither typer nor rich."""

from rollcall.importing.documents import NotImportable
from rollcall.importing.records import Format, Options
from rollcall.importing.refusals import Refusal, Refusals
from rollcall.importing.sending import Users, import_users
from rollcall.importing.state import Import, StateFile, fingerprint

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
