"""Sign-up with FastAPI and SQLAlchemy: the account and its jobs are written in one transaction.

Run it with an application database of its own, and the relay beside it, with the two URLs of Rollbook set:

    DATABASE_URL=postgresql+psycopg://...  uvicorn fastapi_signup:app
    ROLLBOOK_OUTBOX_URL=postgresql://...   rollbook relay

    curl localhost:8000/sign-up --json '{"email": "ann@example.com", "name": "Ann", "guest_id": "guest_9"}'

The web process itself needs no broker.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

from fastapi import FastAPI, HTTPException
from pydantic import BaseModel
from sqlalchemy import create_engine
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from rollbook import Rollbook, User, UserNotFound
from rollbook.outbox import create_table

engine = create_engine(os.environ["DATABASE_URL"])
rb = Rollbook.from_env()


class Base(DeclarativeBase):
    pass


class Account(Base):
    __tablename__ = "accounts"

    id: Mapped[str] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(unique=True)


class SignUp(BaseModel):
    email: str
    name: str
    guest_id: str | None = None


@asynccontextmanager
async def tables(app: FastAPI) -> AsyncIterator[None]:
    Base.metadata.create_all(engine)
    with engine.begin() as connection:
        create_table(connection.exec_driver_sql)  # in a migration: create_table(op.execute)
    yield
    rb.close()


app = FastAPI(lifespan=tables)


@app.post("/sign-up", status_code=201)
def sign_up(form: SignUp) -> dict[str, str]:
    account_id = f"acc_{uuid4().hex}"
    try:
        with Session(engine) as session, session.begin():
            session.add(Account(id=account_id, email=form.email))
            outbox = rb.outbox(session)
            outbox.users.identify(account_id, {"email": form.email, "name": form.name, "plan": "free"})
            if form.guest_id:
                outbox.users.merge(account_id, from_user_id=form.guest_id)
            outbox.workflows.trigger("welcome", recipients=[account_id])
    except IntegrityError:
        # rolled back as one: Rollbook never hears of an account that is not there
        raise HTTPException(409, "this address has an account") from None
    return {"id": account_id}


@app.get("/users/{user_id}")
def show(user_id: str) -> User:
    try:
        return rb.users.get(user_id)
    except UserNotFound:
        raise HTTPException(404) from None
