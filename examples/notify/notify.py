"""A small product that sends: a welcome by e-mail, and comments in the app and to phones.

Run it in this folder, beside `rollbook up` and `rollbook deliver`, with the settings of the tutorial "A mail in a
mailbox":

    python notify.py sign-up ann ann@example.com Ann
    python notify.py comment bo ann "Nice picture!"
    python notify.py push
    python notify.py mute ann
    python notify.py merge ann guest_9

`rollbook deliver` sends the mails, by the templates in this folder. Phones are this program's own business: `push`
claims their messages, and would give each to the phone's provider.
"""

import argparse
from pathlib import Path

from rollbook import Rollbook
from rollbook_delivery.templates import Renderer, TemplateError


def sign_up(rb: Rollbook, user_id: str, email: str, name: str) -> None:
    """Welcome a user, who gets this phone."""
    rb.users.identify(user_id, {"email": email, "name": name}).wait()
    rb.users.add_push_token(user_id, "phone", f"phone-of-{user_id}").wait()
    rb.workflows.trigger("welcome", [user_id], channels=["email"]).wait()


def comment(rb: Rollbook, author: str, recipient: str, text: str) -> None:
    """Someone answered: in the app, and to the phone."""
    rb.workflows.trigger("comment", [recipient], actor=author, data={"text": text}, channels=["in_app", "push"]).wait()


def mute(rb: Rollbook, user_id: str) -> None:
    """No comments to the phone any more; those in the app stay."""
    choice = {"workflows": {"comment": {"channel_types": {"push": False}}}}
    rb.users.update_preferences(user_id, "default", choice).wait()


def push(rb: Rollbook, renderer: Renderer) -> None:
    """Hand over what waits for phones. The message's id is the idempotency key for the provider."""
    for delivery in rb.deliveries.claim("phone"):
        try:
            content = renderer.render(delivery)
        except TemplateError as error:
            rb.deliveries.failed(delivery, str(error), permanent=True)
            continue
        print(f"{', '.join(delivery.tokens)}: {content.title}: {content.text}")
        rb.deliveries.sent(delivery)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    arguments = {
        "sign-up": ("user_id", "email", "name"),
        "comment": ("author", "recipient", "text"),
        "mute": ("user_id",),
        "merge": ("user_id", "from_user_id"),
        "push": (),
    }
    for command, names in arguments.items():
        parsed = commands.add_parser(command)
        for name in names:
            parsed.add_argument(name)
    given = vars(parser.parse_args())
    command = given.pop("command")
    with Rollbook.from_env() as rb:
        match command:
            case "sign-up":
                sign_up(rb, **given)
            case "comment":
                comment(rb, **given)
            case "mute":
                mute(rb, **given)
            case "merge":
                rb.users.merge(**given).wait()
            case "push":
                push(rb, Renderer(Path(__file__).parent / "templates"))


if __name__ == "__main__":
    main()
