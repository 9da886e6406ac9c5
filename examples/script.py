"""A plain script: identify a guest and a customer, merge them, notify the customer, and read the result.

With ROLLBOOK_BROKER_URL and ROLLBOOK_DATABASE_URL set, as `rollbook up` prints them:

    python script.py
"""

from uuid import uuid4

from rollbook import Rollbook, UserNotFound

run = uuid4().hex[:8]
customer, guest = f"customer-{run}", f"guest-{run}"

with Rollbook.from_env() as rb:
    # She looks around before she signs up, and chooses a theme.
    rb.users.identify(guest, {"theme": "dark", "seen": {"pricing": True}})
    rb.workflows.trigger("price-alert", recipients=[guest], data={"below": 10})

    # She signs up: the guest becomes a part of the customer, whatever order the jobs arrive in.
    rb.users.identify(customer, {"email": "ann@example.com", "name": "Ann", "plan": "pro"})
    merge = rb.users.merge(customer, from_user_id=guest)

    # A straggler from the guest's browser still reaches her.
    late = rb.users.identify(guest, {"seen": {"docs": True}})

    for job in (merge, late):
        print(f"{job.kind}: {job.wait(timeout=30).state}")

    user = rb.users.get(customer)
    print(f"{user.name} <{user.email}> {dict(sorted(user.properties.items()))}")

    try:
        rb.users.get(guest)
    except UserNotFound as error:
        print(f"the guest is the customer now: {error.merged_into == customer}")
