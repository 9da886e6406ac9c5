"""The console, `/console` of `rollbook serve`: pages on which people look for a user, and operators for what is stuck.

`routes` says what a route is; `pages` has them, one file for each page or group of actions; `runner` runs them: it
finds out who asks (`accounts`, `sessions`, `sign_in`), checks the role, the origin and the CSRF token, and writes the
audit. So no page checks anything of that, and no action is without it. `rendering` makes HTML of `templates`.
"""
