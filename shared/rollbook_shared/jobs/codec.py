"""Jobs to JSON text, back again, total and reversible: `decode(encode(job)) == job`, and `decode` of anything else is
`Undecodable`.

The text carries a version. It travels as *one string* inside the Celery message, because the message's own JSON gives
objects with a `__type__` key a meaning that users' properties must not have.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any, Final, NoReturn

from pydantic import ValidationError
from pydantic_core import from_json

from rollbook_shared.domain.stamps import JOB_ID
from rollbook_shared.errors import Undecodable
from rollbook_shared.jobs.fields import Parsed
from rollbook_shared.jobs.json_text import canonical_json, encode_json
from rollbook_shared.jobs.models import MODELS, Job, UserUpdate
from rollbook_shared.jobs.problems import problems_of
from rollbook_shared.json_values import printable, text_problem
from rollbook_shared.outcomes import DeadLetterCode

VERSION: Final = 1
"""Of the text. Workers take no other, so a change of it needs workers that know both first."""
DIGEST_BYTES: Final = 16
_WHEN: Final = frozenset({"occurred_at", "deferred"})
MAX_KIND: Final = 40
"""Characters of an unknown kind that are shown."""
MAX_TEXT: Final = 64 * 1024 * 1024
"""Characters of one job; larger ones are dead letters without being parsed."""


def encode(job: Job) -> str:
    """The job as JSON text of version `VERSION`.

    `deferred` is only written where it is true: workers that do not know it yet refuse fields they do not know, and can
    go on with all other jobs.
    """
    # Not job.model_dump_json(): values that may be anything, and a choice of models, cost it three times as much.
    payload = {"v": VERSION} | {name: _plain(value) for name, value in vars(job).items()}
    if not job.deferred:
        del payload["deferred"]
    return encode_json(payload).decode()


def encode_user(user: UserUpdate) -> bytes:
    """One user, as it stands in a job's text."""
    return encode_json(vars(user))


def encode_bulk_identify(job_id: str, users: Sequence[bytes], timestamps: Sequence[int]) -> str:
    """The text of a `BulkIdentify` of users that are encoded already; it happened when the last of them was told of."""
    others = {
        "v": VERSION,
        "id": job_id,
        "occurred_at": max(timestamps),
        "kind": "bulk_identify",
        "timestamps": timestamps,
    }
    return b"".join((encode_json(others)[:-1], b',"users":[', b",".join(users), b"]}")).decode()


def decode(text: object) -> Job:
    """The job that `text` holds. The bad users of a bulk job are `Problem`s in their places.

    Raises:
        Undecodable: `text` is not a job of this version; holds no value of the job in its reason.
    """
    return _job(_payload(text), text)


def decode_with_digest(text: object) -> tuple[Job, bytes]:
    """`decode` and `digest`, for the price of parsing the text once."""
    payload = _payload(text)
    job = _job(payload, text)
    return job, _digest(payload)


def digest(text: str) -> bytes:
    """What two jobs of one id must share to be the same job: kind and body, whatever the order of keys.

    `occurred_at` and `deferred` are left out: a caller who sends a job again under its id, without saying when it
    happened, or with the same delay a moment later, means the same job.
    """
    return _digest(_payload(text))


def text_digest(text: str) -> bytes:
    """What tells one message from another where there is no job to be found in them."""
    return hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=DIGEST_BYTES).digest()


def _job(payload: dict[str, Any], text: object) -> Job:
    job_id, kind = payload.get("id"), payload.get("kind")
    known = {
        "job_id": job_id if isinstance(job_id, str) and JOB_ID.fullmatch(job_id) else None,
        "kind": printable(kind[:MAX_KIND]) if isinstance(kind, str) else None,
    }
    if "v" not in payload:
        # not `malformed`: a later version may well say elsewhere which it is
        raise Undecodable(DeadLetterCode.UNKNOWN_VERSION, "the job does not say its version, as `v`", **known)
    if (version := payload["v"]) != VERSION or isinstance(version, bool):
        raise Undecodable(DeadLetterCode.UNKNOWN_VERSION, "the job's version is not known here", **known)
    model = MODELS.get(kind) if isinstance(kind, str) else None
    if model is None:
        raise Undecodable(DeadLetterCode.UNKNOWN_KIND, "the job's kind is not known here", **known)
    try:
        fields = {name: value for name, value in payload.items() if name != "v"}
        return model.model_validate(fields, context=Parsed(texts_are_good=_has_good_texts(text)))
    except ValidationError as error:
        reason = "; ".join(map(str, problems_of(error, silent=frozenset())[:10]))
        raise Undecodable(DeadLetterCode.INVALID, reason, **known) from None
    except RecursionError:
        raise Undecodable(DeadLetterCode.INVALID, "the job is nested too deeply", **known) from None


def _digest(payload: dict[str, Any]) -> bytes:
    body = {name: value for name, value in payload.items() if name not in _WHEN}
    return hashlib.blake2b(canonical_json(body), digest_size=DIGEST_BYTES).digest()


def _plain(value: object) -> object:
    """Users told of as dicts; whatever else a job holds is written as it is."""
    match value:
        case UserUpdate():
            return vars(value)
        case tuple():
            return [vars(item) if isinstance(item, UserUpdate) else item for item in value]
        case _:
            return value


def _has_good_texts(text: object) -> bool:
    """Whether no text of the job can hold a NUL or half of a surrogate pair: JSON can only say them by escaping."""
    return isinstance(text, str) and "\\u" not in text and (text.isascii() or text_problem(text) is None)


def _payload(text: object) -> dict[str, Any]:
    if not isinstance(text, str):
        raise Undecodable(DeadLetterCode.MALFORMED, "the job is not text")
    if len(text) > MAX_TEXT:
        raise Undecodable(DeadLetterCode.MALFORMED, "the job is too large")
    try:
        payload = _parsed(text)
    except (ValueError, RecursionError):
        raise Undecodable(DeadLetterCode.MALFORMED, "the job is not JSON") from None
    if not isinstance(payload, dict):
        raise Undecodable(DeadLetterCode.MALFORMED, "the job is not an object")
    return payload


def _parsed(text: str) -> Any:
    try:
        return from_json(text, allow_inf_nan=False, cache_strings="keys")
    except (ValueError, TypeError):
        # twice as fast, and narrower: to it, halves of surrogate pairs and 200 levels are no JSON, but to say so of a
        # job is the models' business
        return json.loads(text, parse_constant=_no_constant)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
