"""The headers of every page: it runs and loads only what is ours, no other site shows it, and nothing keeps it."""

from __future__ import annotations

from typing import Final

_POLICY: Final = (
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self'",
    "connect-src 'self'",
    "form-action 'self'",
    "base-uri 'none'",
    "frame-ancestors 'none'",
)
SECURITY_HEADERS: Final = {
    "content-security-policy": "; ".join(_POLICY),
    "referrer-policy": "same-origin",  # with `no-referrer` browsers name no origin in forms
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}
NOT_KEPT: Final = {"cache-control": "no-store"}
KEPT: Final = {"cache-control": "public, max-age=31536000, immutable"}
"""Of assets, whose address changes with them."""
