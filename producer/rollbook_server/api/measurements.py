"""Measurements: what waited and what was done in the last hour."""

from __future__ import annotations

from typing import Final

from typing_extensions import TypedDict

from rollbook_server.call import Call
from rollbook_server.http.answers import Answer
from rollbook_server.routes import ApiRoute, Parameter


class MeasurementBody(TypedDict):
    """What waited at one time, and what was done in the ten seconds before it."""

    at: str
    figures: dict[str, float]


class MeasurementsAnswer(TypedDict):
    """The measurements, the oldest first."""

    items: list[MeasurementBody]


async def list_measurements(call: Call) -> Answer:
    """List the measurements of the last hour: queues, latencies, deliveries, workers, the outbox.

    Maintenance measures every ten seconds. The reference of metrics says what each figure is.
    """
    found = await call.services.client.measurements.list(since=call.query.time("since"))
    return Answer(body={"items": [each.as_dict() for each in found]})


ENDPOINTS: Final = (
    ApiRoute(
        method="GET",
        path="/v1/measurements",
        handler=list_measurements,
        answer=MeasurementsAnswer,
        query=(Parameter("since", "Only those after this time (ISO 8601 with its offset).", {"type": "string"}),),
        tag="Measurements",
    ),
)
