"""Who may call what: secret keys of backends, public keys with the tokens of users."""
