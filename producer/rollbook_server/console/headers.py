"""The headers of every page: it runs and loads only what is ours, no other site shows it, and nothing keeps it."""

from __future__ import annotations

from typing import Final

_POLICY: Final = (
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self'",
    "connect-src 'self'",
    "frame-src 'self'",
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
_FRAME_POLICY: Final = (
    "sandbox",
    "default-src 'none'",
    "style-src 'unsafe-inline'",
    "img-src data:",
    "font-src data:",
    "form-action 'none'",
    "base-uri 'none'",
    "frame-ancestors 'self'",
)
FRAME_HEADERS: Final = {
    **SECURITY_HEADERS,
    "content-security-policy": "; ".join(_FRAME_POLICY),
    "x-frame-options": "SAMEORIGIN",
    "x-dns-prefetch-control": "off",
}
"""Of HTML that is not ours, in a frame of a page: no script runs, nothing is loaded from anywhere, no form is sent, and
it has no origin, so that it reaches neither the page around it nor its cookies. Its own styles apply: mail needs them,
and the policy of a page, which has none, would hold for a frame that is part of the page (`srcdoc`).
"""
NOT_KEPT: Final = {"cache-control": "no-store"}
KEPT: Final = {"cache-control": "public, max-age=31536000, immutable"}
"""Of assets, whose address changes with them."""
