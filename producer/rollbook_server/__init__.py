"""The HTTP server, `rollbook serve`: the API for applications in any language, and for browsers.

It is wire-compatible with Knock's API where that has the same call, so Knock's official SDKs work against it. `api`
has the endpoints, one table of them; `http` reads requests and writes answers; `access` decides who may call what.
"""
