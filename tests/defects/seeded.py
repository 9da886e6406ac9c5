"""Mistakes that somebody could make in good faith, each with the tests that must notice it.

A test that cannot fail proves nothing: `./run python -m tests.defects.run` makes each of these mistakes, one at a time,
in a copy of the sources, and runs the tests named here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

FOLD: Final = "worker/rollcall_worker/fold"
SHARED: Final = "shared/rollcall_shared"
RULES: Final = "tests/rules"


@dataclass(frozen=True, slots=True)
class Defect:
    """In `file`, `right` (there once) becomes `wrong`; pytest with `tests` must then fail."""

    what: str
    file: str
    right: str
    wrong: str
    tests: tuple[str, ...] = (RULES,)


DEFECTS: Final[tuple[Defect, ...]] = (
    Defect(
        "rule 3: the value that arrives last stands, not the one stamped last",
        f"{FOLD}/join.py",
        "known is None or known.stamp < fact.stamp",
        "True",
    ),
    Defect(
        "rule 3: a null does not overwrite",
        f"{FOLD}/live.py",
        'if fact.value is None and fact.key[0] in "sc":',
        "if fact.value is None:",
    ),
    Defect(
        "rule 7: taking a preference set away makes a user",
        f"{FOLD}/reading.py",
        'yield Told(at, job.user_id, f"s.{job.set_id}", None)',
        'yield from _setting(job.user_id, f"s.{job.set_id}", None, at)',
    ),
    Defect(
        "rule 8: rows are made before the inline users",
        f"{FOLD}/reading.py",
        "return stamp(job.occurred_at, job.id, len(job.recipients) + 1)",
        "return stamp(job.occurred_at, job.id, 0)",
    ),
    Defect(
        "rule 8: a deleted user is still sent messages",
        f"{FOLD}/live.py",
        "owners.append(_Change(fact.stamp, None, False))",
        "owners.append(_Change(fact.stamp, fact.user, True))",
    ),
    Defect(
        "rule 12: in a merge the secondary's values win",
        f"{SHARED}/inheritance.py",
        "merged = {**secondary, **primary}",
        "merged = {**primary, **secondary}",
    ),
    Defect(
        "rule 12: an attribute that is null is not filled",
        f"{SHARED}/inheritance.py",
        "if value is not None},",
        "},",
    ),
    Defect(
        "rule 13: the secondary's preference sets win",
        f"{SHARED}/inheritance.py",
        "return {**secondary, **primary, **shared}",
        "return {**primary, **secondary}",
    ),
    Defect(
        "rule 14: all of the history comes along, not 30 days",
        f"{FOLD}/live.py",
        "since=max(change.since, kept_from), owner=heir",
        "owner=heir",
    ),
    Defect(
        "rule 14: the edge of the window is a microsecond off",
        f"{FOLD}/live.py",
        "edge(occurred_at_of(fact.stamp) - self._history)",
        "edge(occurred_at_of(fact.stamp) - self._history + 1)",
    ),
    Defect(
        "rule 16: a delete follows a merged-away id",
        f"{FOLD}/live.py",
        "            return  # writes follow a merged-away id, endings do not\n",
        "            fact = fact._replace(user=self._goes_to[fact.user])\n",
    ),
    Defect(
        "rule 16: deleting the primary does not free its merged-away ids",
        f"{FOLD}/live.py",
        "self._goes_to.pop(name, None)",
        "pass",
    ),
    Defect(
        "rule 17: a second merge of one secondary takes effect",
        f"{FOLD}/live.py",
        "if fact.user in self._goes_to or heir == fact.user:",
        "if heir == fact.user:",
    ),
    Defect(
        "rule 17: a merge does not see that its primary was merged away",
        f"{FOLD}/live.py",
        "heir = self._goes_to.get(fact.heir, fact.heir)",
        "heir = fact.heir",
    ),
    Defect(
        "rule 19: one setting that says yes is enough",
        f"{SHARED}/permission.py",
        'and settings.get("channel_types", {}).get(channel, True) is not False',
        'or settings.get("channel_types", {}).get(channel, False) is True',
    ),
    Defect(
        "rule 20: channel data are put together, not replaced",
        f"{FOLD}/reading.py",
        'yield from _setting(job.user_id, f"c.{job.channel_id}", job.data, at)',
        'yield from (Told(at, job.user_id, f"c.{job.channel_id}", {**job.data}), )',
    ),
    Defect(
        "rule 21: a recipient named twice gets two activities",
        f"{SHARED}/rowids.py",
        'return uuid.uuid5(_NAMESPACE, f"{job_id}/{recipient}")',
        "return uuid.uuid4()",
    ),
)
