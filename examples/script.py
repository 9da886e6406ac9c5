"""A plain script: tell Rollcall about two people, make one of them, notify her, and read what has become of it.

With ROLLCALL_BROKER_URL and ROLLCALL_DATABASE_URL set, as `rollcall up` prints them:

    python script.py
"""

from uuid import uuid4

from rollcall import Rollcall, UserNotFound

run = uuid4().hex[:8]
customer, guest = f"customer-{run}", f"guest-{run}"

with Rollcall.from_env() as rc:
    # She looks around before she signs up, and chooses a theme.
    rc.users.identify(guest, {"theme": "dark", "seen": {"pricing": True}})
    rc.workflows.trigger("price-alert", recipients=[guest], data={"below": 10})

    # She signs up: the guest becomes a part of the customer, whatever order the jobs arrive in.
    rc.users.identify(customer, {"email": "ann@example.com", "name": "Ann", "plan": "pro"})
    merge = rc.users.merge(customer, from_user_id=guest)

    # A straggler from the guest's browser still reaches her.
    late = rc.users.identify(guest, {"seen": {"docs": True}})

    for job in (merge, late):
        print(f"{job.kind}: {job.wait(timeout=30).state}")

    user = rc.users.get(customer)
    print(f"{user.name} <{user.email}> {dict(sorted(user.properties.items()))}")

    try:
        rc.users.get(guest)
    except UserNotFound as error:
        print(f"the guest is the customer now: {error.merged_into == customer}")
