"""What is said of a server to which there is no connection."""

from __future__ import annotations

import ssl

from rollbook_delivery.results import Failed


def unreachable(server: str, error: BaseException) -> Failed:
    """All messages of the channel fail, because of this error; a certificate that is not trusted is named."""
    certificate = isinstance(_root(error), ssl.SSLCertVerificationError)
    reason = "has a certificate that is not trusted" if certificate else "cannot be reached"
    return Failed(reason=f"the {server} {reason}", outage=True)


def _root(error: BaseException) -> BaseException:
    while (cause := error.__cause__ or error.__context__) is not None:
        error = cause
    return error
