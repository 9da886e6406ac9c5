"""Whether a process is well, told in a file: written each second by a thread, read by whoever supervises it."""
