"""All rules as tables."""

from typing import Final

from tests.rules.cases.deletion import DELETING
from tests.rules.cases.engagement import ENGAGEMENT
from tests.rules.cases.history import HISTORY
from tests.rules.cases.merged_ids import REDIRECTS
from tests.rules.cases.merges import MERGING
from tests.rules.cases.partial_changes import PARTIAL_CHANGES
from tests.rules.cases.preferences import EFFECTIVE_PREFERENCES
from tests.rules.cases.triggers import EVERY_JOB, PREFERENCES, TRIGGERS
from tests.rules.cases.users import USERS
from tests.support.rule_case import Case

CASES: Final[tuple[Case, ...]] = (
    *USERS,
    *DELETING,
    *MERGING,
    *HISTORY,
    *REDIRECTS,
    *EFFECTIVE_PREFERENCES,
    *PARTIAL_CHANGES,
    *PREFERENCES,
    *TRIGGERS,
    *ENGAGEMENT,
    *EVERY_JOB,
)
