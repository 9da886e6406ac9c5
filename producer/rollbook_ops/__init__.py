"""What only operators run: the `rollbook` command, importers, the doctor, local servers, the demo, the outbox relay."""
