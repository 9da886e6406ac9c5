"""The senders: each hands the messages of a channel over to something that brings them to people.

`sender` is what they have in common, and `factory` makes the one that the registry names for a channel. A sender is
asked for one message at a time, knows no database and no lease, and says what became of it.
"""
