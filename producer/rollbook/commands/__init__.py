"""From the arguments of a call to a job, or to everything that is wrong with them. No I/O, no clock."""

from rollbook.commands.build import build_job, plain
from rollbook.commands.lists import as_list
from rollbook.commands.sizes import check_size
from rollbook.commands.timing import Timing, WriteOptions, resolve_timestamps, resolve_timing
from rollbook.commands.user_updates import parse_user

__all__ = [
    "Timing",
    "WriteOptions",
    "as_list",
    "build_job",
    "check_size",
    "parse_user",
    "plain",
    "resolve_timestamps",
    "resolve_timing",
]
