"""The relay: sends the jobs that committed transactions left in an application's outbox."""
