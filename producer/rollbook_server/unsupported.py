"""What Knock's API has and Rollbook has not, so that an SDK's call of it is answered with a clear error."""

from __future__ import annotations

import re
from typing import Final

from rollbook_server.http.errors import ApiError

_UNSUPPORTED: Final = (
    (re.compile(r"/v1/objects(?:/|$)"), "objects"),
    (re.compile(r"/v1/tenants(?:/|$)"), "tenants; the id of a tenant is enough, without a call to create it"),
    (re.compile(r"/v1/schedules(?:/|$)"), "schedules; `Rollbook-Run-At` defers one trigger"),
    (re.compile(r"/v1/audiences(?:/|$)"), "audiences"),
    (re.compile(r"/v1/users/[^/]+/guides(?:/|$)"), "guides"),
    (re.compile(r"/v1/users/[^/]+/preference_center(?:/|$)"), "the preference center"),
    (re.compile(r"/v1/users/[^/]+/schedules(?:/|$)"), "schedules; `Rollbook-Run-At` defers one trigger"),
    (re.compile(r"/v1/users/[^/]+/subscriptions(?:/|$)"), "objects to subscribe to"),
    (re.compile(r"/v1/messages/?$"), "list of the messages of all users; list those of a user"),
    (re.compile(r"/v1/workflow_recipient_runs(?:/|$)"), "runs of workflows"),
    (re.compile(r"/v1/providers(?:/|$)"), "sign-in to providers"),
    (re.compile(r"/v1/integrations(?:/|$)"), "integrations"),
)


def unsupported(path: str) -> ApiError | None:
    """The error for a path of Knock's API that is not supported; None for any other path."""
    for pattern, what in _UNSUPPORTED:
        if pattern.match(path):
            return ApiError(404, "not_supported", f"Rollbook has no {what}")
    return None
