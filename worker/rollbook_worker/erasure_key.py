"""What a worker and maintenance say of the key of erasure receipts when they start."""

from __future__ import annotations

import contextlib
import logging
from datetime import timedelta
from typing import Final

import psycopg

from rollbook_shared.database.erasure_keys import (
    DEFAULT_KEY_ADVICE,
    DEFAULT_KEY_WARNING,
    WrongErasureKey,
    require_erasure_key,
)
from rollbook_shared.database.session import make_session, open_session
from rollbook_shared.database.timeouts import timeout_connection
from rollbook_shared.errors import NotConfigured
from rollbook_shared.settings import DEFAULT_KEY, Settings

_ANSWER: Final = timedelta(seconds=5)
_CONNECT_SECONDS: Final = 3

logger = logging.getLogger(__name__)


def check_erasure_key(settings: Settings) -> None:
    """Do not start with a key other than that of this database's receipts. Warn of the default key.

    Where Postgres does not answer, the process starts: each connection is checked again.

    Raises:
        NotConfigured: the key is another one.
    """
    if settings.erasure_key == DEFAULT_KEY:
        logger.warning("%s. %s", DEFAULT_KEY_WARNING, DEFAULT_KEY_ADVICE)
    session = make_session(
        settings.need_database_url(),
        application_name="rollbook start",
        schema=settings.schema,
        statement_timeout=_ANSWER,
        connect_seconds=_CONNECT_SECONDS,
    )
    with contextlib.suppress(psycopg.Error), open_session(session, timeout_connection(_ANSWER)) as connection:
        try:
            require_erasure_key(connection, settings.erasure_keys)
        except WrongErasureKey as error:
            raise NotConfigured(str(error)) from error
