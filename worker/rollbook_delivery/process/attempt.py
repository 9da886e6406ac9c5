"""One attempt: render a message, and hand it over within its time."""

from __future__ import annotations

import asyncio
import logging
import traceback
from typing import Final

from rollbook.models import Delivery
from rollbook_delivery.process.seams import Render, Unrenderable
from rollbook_delivery.results import Failed, Result
from rollbook_delivery.senders.sender import Sender

logger: Final = logging.getLogger("rollbook.delivery")

RENDER_SECONDS: Final = 10.0
"""Rendering takes a second of processor time at most; on a busy machine that is longer."""


def seconds_of(sender: Sender) -> float:
    """How long an attempt takes at most."""
    return RENDER_SECONDS + sender.timeout


async def attempt(delivery: Delivery, render: Render, sender: Sender) -> Result:
    """What became of it. An attempt that takes too long is cut off, and hands nothing over afterwards."""
    try:
        async with asyncio.timeout(RENDER_SECONDS):
            content = await asyncio.to_thread(render, delivery)
    except Unrenderable as error:
        return Failed(reason=error.reason, permanent=True)
    except TimeoutError:
        return Failed(reason="the message was not rendered in time")
    except Exception as error:
        return _unexpected(error, "rendering")
    try:
        async with asyncio.timeout(sender.timeout):
            return await sender.send(delivery, content)
    except TimeoutError:
        return Failed(reason=f"it was not handed over within {sender.timeout:g} s")
    except Exception as error:
        return _unexpected(error, "the sender")


def _unexpected(error: Exception, where: str) -> Failed:
    # the traceback without the error's text, which may quote the message
    lines = "".join(traceback.format_tb(error.__traceback__))
    logger.error("deliver: %s failed unexpectedly (%s)\n%s", where, type(error).__name__, lines)
    return Failed(reason=f"{where} failed unexpectedly ({type(error).__name__})")
