"""A welcome three days after sign-up, and none for those who have left by then.

Run it with the two URLs of Rollbook set (`rollbook up` prints them):

    python welcome_later.py sign-up ann ann@example.com
    python welcome_later.py waiting
    python welcome_later.py leave ann JOB

The welcome waits in Postgres: Redis, the workers and this program may all be gone in the meantime.
"""

import argparse
from datetime import timedelta

from rollbook import Rollbook

LATER = timedelta(days=3)


def sign_up(rb: Rollbook, user_id: str, email: str, later: timedelta) -> str:
    """Identify the user, and start the welcome later. Store the returned id with the account."""
    rb.users.identify(user_id, {"email": email})
    return rb.workflows.trigger("welcome", [user_id], delay=later).id


def leave(rb: Rollbook, user_id: str, welcome_id: str) -> bool:
    """Delete the user, and cancel the welcome. Without the cancel, it would skip the deleted user and say so."""
    in_time = rb.jobs.cancel(welcome_id)
    rb.users.delete(user_id)
    return in_time


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    joining = commands.add_parser("sign-up")
    joining.add_argument("user_id")
    joining.add_argument("email")
    joining.add_argument("--seconds", type=float, default=LATER.total_seconds(), help="instead of three days")
    leaving = commands.add_parser("leave")
    leaving.add_argument("user_id")
    leaving.add_argument("welcome_id")
    commands.add_parser("waiting")
    given = parser.parse_args()
    with Rollbook.from_env() as rb:
        match given.command:
            case "sign-up":
                print(sign_up(rb, given.user_id, given.email, timedelta(seconds=given.seconds)))
            case "leave":
                print("cancelled" if leave(rb, given.user_id, given.welcome_id) else "too late")
            case "waiting":
                for job in rb.jobs.list_deferred().items:
                    print(f"{job.due_at:%Y-%m-%d %H:%M:%S}  {job.kind}  {job.id}")


if __name__ == "__main__":
    main()
