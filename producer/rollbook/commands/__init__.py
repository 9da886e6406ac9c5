"""Turns the arguments of a call into a job, one typed function for each kind. No I/O, no clock, no logging.

A function here is named as the client's method. It takes the method's arguments, the client's limits, and the present
time in microseconds since 1970. It returns the job, or raises `InvalidRequest` with every problem of the call.
"""

from typing import TYPE_CHECKING

from rollbook_shared.lazy_names import lazy_names

if TYPE_CHECKING:
    from rollbook.commands.arguments import WriteOptions
    from rollbook.commands.dead_letter import replay
    from rollbook.commands.jobs import (
        add_push_token,
        bulk_delete,
        bulk_identify,
        bulk_set_preferences,
        delete,
        encoded_user_update,
        identify,
        mark,
        mark_all,
        merge,
        remove_push_token,
        set_channel_data,
        set_preferences,
        trigger,
        unset_channel_data,
        unset_preferences,
        update_preferences,
    )
else:
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            "rollbook.commands.arguments": "WriteOptions",
            "rollbook.commands.dead_letter": "replay",
            "rollbook.commands.jobs": (
                "add_push_token bulk_delete bulk_identify bulk_set_preferences delete encoded_user_update identify "
                "mark mark_all merge remove_push_token set_channel_data set_preferences trigger unset_channel_data "
                "unset_preferences update_preferences"
            ),
        },
    )

__all__ = [
    "WriteOptions",
    "add_push_token",
    "bulk_delete",
    "bulk_identify",
    "bulk_set_preferences",
    "delete",
    "encoded_user_update",
    "identify",
    "mark",
    "mark_all",
    "merge",
    "remove_push_token",
    "replay",
    "set_channel_data",
    "set_preferences",
    "trigger",
    "unset_channel_data",
    "unset_preferences",
    "update_preferences",
]
