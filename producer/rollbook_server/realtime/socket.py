"""The feed socket, as the official browser client opens it.

Rejected credentials close it with 1000: clients take any other code, and a rejected upgrade, for a fault of the
network, and connect again and again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any, Final

import orjson
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from rollbook.errors import RollbookError
from rollbook_server.access.callers import Caller, Callers
from rollbook_server.access.permissions import Permission
from rollbook_server.api.message_filters import filter_of
from rollbook_server.feed_watch import FeedKey, FeedState, FeedWatch, ListenerKind, feed_key
from rollbook_server.http.errors import ApiError, api_error
from rollbook_server.http.query_params import QueryParams
from rollbook_server.observability.recorder import Limit
from rollbook_server.realtime.frames import PHOENIX, BadFrame, FeedTopic, Frame, new_message
from rollbook_server.services import Services
from rollbook_shared.registry import Registry

PATH: Final = "/ws/v1/websocket"
_ROUTE: Final = f"GET {PATH}"
MAX_FRAME_BYTES: Final = 64 * 1024
MAX_TOPICS: Final = 20
"""Of one socket."""
MAX_REFERENCES: Final = 50
"""Of one topic: what a page shows of one feed at the same time."""
SILENCE_SECONDS: Final = 90.0
"""A client sends a heartbeat every 30 seconds."""
DONE: Final = 1000
"""The code that clients obey: they do not connect again."""
TRY_AGAIN_LATER: Final = 1013


def feed_socket_route(services: Services, callers: Callers) -> WebSocketRoute:
    """The route of the socket."""
    recorder = services.recorder

    async def serve(websocket: WebSocket) -> None:
        await websocket.accept()
        try:
            caller = callers.of_query(websocket)
        except ApiError as error:
            recorder.record_request(_ROUTE, error.status)
            await websocket.close(DONE, error.code)
            return
        if services.feeds.connections >= services.settings.max_listeners:
            recorder.record_request(_ROUTE, 503)
            recorder.record_overload(Limit.LISTENERS)
            await websocket.close(TRY_AGAIN_LATER)
            return
        recorder.record_request(_ROUTE, 101)
        with services.feeds.connected(ListenerKind.SOCKET):
            await _FeedSocket(websocket, caller, services).serve()

    return WebSocketRoute(PATH, serve)


class _FeedSocket:
    """One open socket with the topics that its client has joined."""

    __slots__ = ("_caller", "_joined", "_services", "_websocket")

    def __init__(self, websocket: WebSocket, caller: Caller, services: Services) -> None:
        self._websocket = websocket
        self._caller = caller
        self._services = services
        self._joined: dict[str, _JoinedTopic] = {}

    async def serve(self) -> None:
        """Answer frames until the client leaves, falls silent, or its token expires."""
        try:
            while (text := await self._receive()) is not None:
                if (reply := self._answer(Frame.parse(text))) is not None:
                    await self._websocket.send_text(reply.text())
        except BadFrame:
            await self._websocket.close(DONE, "bad_frame")
        except WebSocketDisconnect:
            pass  # while a reply was sent
        finally:
            for joined in self._joined.values():
                joined.leave()

    async def _receive(self) -> str | None:
        """The next text; None: the socket is closed."""
        remaining = SILENCE_SECONDS
        if self._caller.expires_at is not None:
            remaining = min(remaining, self._caller.expires_at - time.time())
        try:
            async with asyncio.timeout(max(remaining, 0)):
                message = await self._websocket.receive()
        except TimeoutError:
            await self._websocket.close(DONE, "invalid_user_token" if remaining < SILENCE_SECONDS else "silent")
            return None
        if message["type"] == "websocket.disconnect":
            return None
        text = message.get("text")
        if not isinstance(text, str):
            raise BadFrame
        return text

    def _answer(self, frame: Frame) -> Frame | None:
        match frame.event:
            case "heartbeat" if frame.topic == PHOENIX:
                return frame.reply("ok", {})
            case "phx_join":
                return self._join(frame)
            case "phx_leave":
                if (joined := self._joined.pop(frame.topic, None)) is not None:
                    joined.leave()
                return frame.reply("ok", {})
        return frame.reply("error", {"reason": "unknown_event"})

    def _join(self, frame: Frame) -> Frame:
        try:
            keys = self._feeds(frame)
        except (ApiError, RollbookError) as error:
            refusal = error if isinstance(error, ApiError) else api_error(error)
            return frame.reply("error", {"reason": refusal.code, "message": str(refusal)})
        if (before := self._joined.pop(frame.topic, None)) is not None:
            before.leave()
        if len(self._joined) >= MAX_TOPICS or len(frame.payload) > MAX_REFERENCES:
            return frame.reply("error", {"reason": "too_many_topics"})
        self._joined[frame.topic] = _JoinedTopic(self._websocket, frame, self._services.feeds, keys)
        return frame.reply("ok", {})

    def _feeds(self, frame: Frame) -> dict[FeedKey, list[str]]:
        """The feeds that the client wants to follow, each with the references that do.

        Raises:
            ApiError, RollbookError: there is no such feed, or the caller may not read it.
        """
        topic = FeedTopic.parse(frame.topic)
        if topic is None:
            raise ApiError(404, "resource_missing", "there is no such topic")
        user_id = topic.user_id
        self._caller.check(Permission.FEED_READ, user_id)
        registry: Registry = self._services.registry.current
        channel = registry.channel_type(topic.channel_id)
        keys: dict[FeedKey, list[str]] = {}
        for reference, options in frame.payload.items():
            keys.setdefault(_key(user_id, channel, options), []).append(reference)
        return keys or {_key(user_id, channel, {}): []}


class _JoinedTopic:
    """Sends the counts of one topic's feeds, those of a feed at once and after each change."""

    def __init__(self, websocket: WebSocket, frame: Frame, feeds: FeedWatch, keys: dict[FeedKey, list[str]]) -> None:
        self._websocket = websocket
        self._join_ref, self._topic = frame.join_ref, frame.topic
        self._feeds = feeds
        self._references = keys
        self._waiting: dict[FeedKey, FeedState] = {}
        self._sender: asyncio.Task[None] | None = None
        self._listeners = {key: self._listener(key) for key in keys}
        for key, listener in self._listeners.items():
            feeds.watch(key, listener)

    def leave(self) -> None:
        """Send no more."""
        for key, listener in self._listeners.items():
            self._feeds.unwatch(key, listener)
        self._waiting.clear()
        if self._sender is not None:
            self._sender.cancel()

    def _listener(self, key: FeedKey) -> Callable[[FeedState | None], None]:
        def listen(state: FeedState | None) -> None:
            if state is None:
                return  # the server closes the socket itself
            self._waiting[key] = state  # a slow client gets the newest state, and not all of them
            if self._sender is None:
                self._sender = asyncio.get_running_loop().create_task(self._send())

        return listen

    async def _send(self) -> None:
        try:
            while self._waiting:
                key = next(iter(self._waiting))
                counts = self._waiting.pop(key).counts
                frame = new_message(self._join_ref, self._topic, counts, self._references[key])
                await self._websocket.send_text(frame.text())
        except (WebSocketDisconnect, RuntimeError):
            pass  # it was closed meanwhile, as who receives sees
        finally:
            self._sender = None


def _key(user_id: str, channel: str, options: Any) -> FeedKey:
    """The feed with the filters among the client's options; the others change no counts.

    Raises:
        ApiError, InvalidRequest: an option, the channel or the user's id is invalid.
    """
    items = sorted(_texts(options)) if isinstance(options, dict) else []
    where = filter_of(QueryParams(items))
    shown = orjson.dumps([item for item in items if item[0] in _FILTERS or item[0].startswith("inserted_at")])
    return feed_key(user_id, channel, shown.decode(), where)


_FILTERS: Final = ("source", "tenant", "has_tenant", "workflow_categories", "trigger_data", "workflow_run_id")


def _texts(options: dict[str, Any]) -> list[tuple[str, str]]:
    """The options as a query string has them."""
    texts: list[tuple[str, str]] = []
    for name, value in options.items():
        for each in value if isinstance(value, list) else [value]:
            match each:
                case str():
                    texts.append((name, each))
                case bool():
                    texts.append((name, "true" if each else "false"))
                case dict() if name == "trigger_data":
                    texts.append((name, orjson.dumps(each).decode()))
                case _:
                    pass
    return texts
