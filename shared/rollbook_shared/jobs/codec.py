"""Encodes jobs as JSON text and decodes them: `decode(encode(job)) == job`, and `decode` of any other text raises
`Undecodable`.

The text has a version. It travels as *one string* inside the Celery message: Celery gives JSON objects with the key
`__type__` a meaning, and a user may have a property of that name.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any, Final, NoReturn, cast

from pydantic import ValidationError
from pydantic_core import from_json

from rollbook_shared.domain.stamps import JOB_ID
from rollbook_shared.errors import Undecodable
from rollbook_shared.job_states import DeadLetterCode
from rollbook_shared.jobs.fields import ParsedJson
from rollbook_shared.jobs.models import MODELS, Identify, Job, UserUpdate, plain_identify
from rollbook_shared.jobs.plain_users import PlainUsers
from rollbook_shared.jobs.pydantic_problems import problems_of
from rollbook_shared.json_values import canonical_json, encode_json, find_text_problem, printable
from rollbook_shared.limits import JOB_BYTES

VERSION: Final = 1
"""Of the text. Workers accept no other version, so to change it, first deploy workers that know both."""
DIGEST_BYTES: Final = 16
_WITH_USERS: Final = ("user", "users", "recipients", "actor")
"""The fields that may hold users; every other one is encoded as it is."""
_TIMING: Final = frozenset({"occurred_at", "deferred", "requested_at"})
MAX_KIND: Final = 40
"""Characters of an unknown kind that errors show."""
MAX_TEXT: Final = JOB_BYTES
"""Characters of one job; a larger one becomes a dead letter without being parsed. No job of a client has as many bytes,
but characters are counted at once.
"""
KEPT_TEXT: Final = 256 * 1024
"""Characters that are kept of what is too large for a job, or is none, to show where it came from. Several such
messages are in memory at once, each up to twelve times: as text, as JSON, as a row.
"""


def encode(job: Job) -> str:
    """The job as JSON text of version `VERSION`.

    `deferred` and `requested_at` are written only of deferred jobs: workers that do not know the fields yet reject
    them, and can still apply all other jobs.
    """
    # Not job.model_dump_json(): it takes three times as long for values of any type and for a union of models.
    payload: dict[str, Any] = {"v": VERSION, **vars(job)}
    for name in _WITH_USERS:
        if name in payload:
            payload[name] = _plain(payload[name])
    if not job.deferred:
        del payload["deferred"]
    if job.requested_at is None:
        del payload["requested_at"]
    return encode_json(payload).decode()


def encode_user(user: UserUpdate) -> bytes:
    """One user, as it is in a job's text."""
    return encode_json(vars(user))


def encode_bulk_identify(job_id: str, users: Sequence[bytes], timestamps: Sequence[int]) -> str:
    """The text of a `BulkIdentify` of encoded users; its `occurred_at` is the newest of their timestamps."""
    others = {
        "v": VERSION,
        "id": job_id,
        "occurred_at": max(timestamps),
        "kind": "bulk_identify",
        "timestamps": timestamps,
    }
    return b"".join((encode_json(others)[:-1], b',"users":[', b",".join(users), b"]}")).decode()


def decode(text: object) -> Job:
    """The job in `text`. Invalid users of a bulk job are replaced by `Problem`s.

    Raises:
        Undecodable: `text` is not a job of this version. Its reason quotes no value.
    """
    return _job(_payload(text), text)


def decode_with_digest(text: object) -> tuple[Job, bytes]:
    """`decode` and `digest`, parsing the text once."""
    payload = _payload(text)
    job = _job(payload, text)
    return job, _digest(payload)


def digest(text: str) -> bytes:
    """Digest of a job's kind and body, in any order of keys. Two jobs of one id with the same digest are the same job.

    It leaves out `occurred_at`, `deferred` and `requested_at`: a caller who sends a job again under its id, without a
    time or with the same delay, means the same job.
    """
    return _digest(_payload(text))


def text_digest(text: str) -> bytes:
    """Digest of the text of a message that holds no job."""
    return hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=DIGEST_BYTES).digest()


def unidentified_id(digest: bytes) -> str:
    """The id of a dead letter whose message has none: it is named for its content."""
    return f"unidentified-{digest.hex()}"


def _job(payload: dict[str, Any], text: object) -> Job:
    if "v" not in payload:
        # not `malformed`: a later version may say elsewhere which one it is
        raise _undecodable(DeadLetterCode.UNKNOWN_VERSION, "the job has no version, `v`", payload)
    if (version := payload["v"]) != VERSION or isinstance(version, bool):
        raise _undecodable(DeadLetterCode.UNKNOWN_VERSION, "the worker does not know the job's version", payload)
    kind = payload.get("kind")
    model = MODELS.get(kind) if isinstance(kind, str) else None
    if model is None:
        raise _undecodable(DeadLetterCode.UNKNOWN_KIND, "the worker does not know the job's kind", payload)
    texts_are_storable = _has_storable_texts(text)
    if model is Identify and texts_are_storable and (job := plain_identify(payload)):
        return job
    try:
        fields = {name: value for name, value in payload.items() if name != "v"}
        return model.model_validate(fields, context=ParsedJson(texts_are_storable=texts_are_storable))
    except ValidationError as error:
        reason = "; ".join(map(str, problems_of(error, omitted=frozenset())[:10]))
        raise _undecodable(DeadLetterCode.INVALID, reason, payload) from None
    except RecursionError:
        raise _undecodable(DeadLetterCode.INVALID, "the job is nested too deeply", payload) from None


def _undecodable(code: DeadLetterCode, reason: str, payload: dict[str, Any]) -> Undecodable:
    """The error, with what is known of the job."""
    job_id, kind = payload.get("id"), payload.get("kind")
    return Undecodable(
        code,
        reason,
        job_id=job_id if isinstance(job_id, str) and JOB_ID.fullmatch(job_id) else None,
        kind=printable(kind[:MAX_KIND]) if isinstance(kind, str) else None,
    )


def _digest(payload: dict[str, Any]) -> bytes:
    body = {name: value for name, value in payload.items() if name not in _TIMING}
    return hashlib.blake2b(canonical_json(body), digest_size=DIGEST_BYTES).digest()


def _plain(value: object) -> object:
    """Users as dicts, which are encoded; ids and problems as they are."""
    # by the classes themselves: of each field `isinstance` would ask pydantic, or `abc`
    kind = type(value)
    if kind is UserUpdate:
        return vars(value)
    if kind is tuple or kind is PlainUsers:
        return [vars(item) if type(item) is UserUpdate else item for item in cast("Sequence[object]", value)]
    return value


def _has_storable_texts(text: object) -> bool:
    """Whether no text in the job can hold a NUL or a lone surrogate: in JSON both need an escape."""
    if not isinstance(text, str) or ("\\" in text and "\\u" in text):  # one character is found in a tenth of the time
        return False
    return text.isascii() or find_text_problem(text) is None


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
        # from_json is twice as fast, but lone surrogates and 200 levels are not JSON to it; the models have to reject
        # those, with their reasons
        return json.loads(text, parse_constant=_no_constant)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
