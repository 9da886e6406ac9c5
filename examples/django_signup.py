"""Sign-up with Django in one file: jobs are sent once the account is committed, by `transaction.on_commit`.

With ROLLBOOK_BROKER_URL and ROLLBOOK_DATABASE_URL set:

    python django_signup.py migrate
    python django_signup.py runserver

    curl localhost:8000/sign-up --json '{"email": "ann@example.com", "name": "Ann"}'

Nothing keeps a job whose process dies right after the commit; where that matters, see the outbox in fastapi_signup.py.
"""

import json
import os
import sys
from pathlib import Path

from django.conf import settings

settings.configure(
    SECRET_KEY="only an example",
    ALLOWED_HOSTS=["127.0.0.1", "localhost"],
    ROOT_URLCONF=__name__,
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes"],
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": os.environ.get("DATABASE_FILE", Path(__file__).with_suffix(".sqlite3")),
        }
    },
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
)

import django  # noqa: E402

django.setup()

from django.contrib.auth.models import User  # noqa: E402
from django.core.management import execute_from_command_line  # noqa: E402
from django.db import IntegrityError, transaction  # noqa: E402
from django.http import HttpRequest, JsonResponse  # noqa: E402
from django.urls import path  # noqa: E402
from django.views.decorators.http import require_POST  # noqa: E402

from rollbook import InvalidRequest, Rollbook, UserNotFound  # noqa: E402
from rollbook.django import on_commit  # noqa: E402

rb = Rollbook.from_env()


def sign_up(request: HttpRequest) -> JsonResponse:
    form = json.loads(request.body)
    try:
        with transaction.atomic():
            user = User.objects.create_user(form["email"], form["email"], first_name=form["name"])
            after_commit = on_commit(rb)
            after_commit.users.identify(str(user.pk), {"email": user.email, "name": form["name"], "plan": "free"})
            after_commit.workflows.trigger("welcome", recipients=[str(user.pk)])
    except InvalidRequest as error:  # such as an address that is none; nothing was stored
        return JsonResponse({"error": str(error)}, status=422)
    except IntegrityError:
        return JsonResponse({"error": "this address has an account"}, status=409)
    return JsonResponse({"id": str(user.pk)}, status=201)


def show(request: HttpRequest, user_id: str) -> JsonResponse:
    try:
        user = rb.users.get(user_id)
    except UserNotFound:
        return JsonResponse({}, status=404)
    return JsonResponse({"id": user.id, "email": user.email, "name": user.name, "properties": dict(user.properties)})


urlpatterns = [path("sign-up", require_POST(sign_up)), path("users/<str:user_id>", show)]

if __name__ == "__main__":
    execute_from_command_line(sys.argv)
