"""The rules as tables, gathered."""

from typing import Final

from tests.rules.cases.deleting import DELETING
from tests.rules.cases.history import HISTORY
from tests.rules.cases.merging import MERGING
from tests.rules.cases.redirects import REDIRECTS
from tests.rules.cases.triggers import EVERY_JOB, PREFERENCES, TRIGGERS
from tests.rules.cases.users import USERS
from tests.rules.cases.wishes import WISHES
from tests.support.cases import Case

CASES: Final[tuple[Case, ...]] = (
    *USERS,
    *DELETING,
    *MERGING,
    *HISTORY,
    *REDIRECTS,
    *PREFERENCES,
    *WISHES,
    *TRIGGERS,
    *EVERY_JOB,
)
