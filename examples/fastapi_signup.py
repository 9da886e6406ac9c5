"""Sign-up with FastAPI and SQLAlchemy in coroutines: the account and its jobs are written in one transaction.

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
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from rollbook import AsyncRollbook, InvalidRequest, User, UserNotFound
from rollbook.outbox import create_table

engine = create_async_engine(os.environ["DATABASE_URL"])
rb = AsyncRollbook.from_env()


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
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
        # in a migration: create_table(op.execute)
        await connection.run_sync(lambda blocking: create_table(blocking.exec_driver_sql))
    yield
    await rb.aclose()
    await engine.dispose()


app = FastAPI(lifespan=tables)


@app.post("/sign-up", status_code=201)
async def sign_up(form: SignUp) -> dict[str, str]:
    account_id = f"acc_{uuid4().hex}"
    try:
        async with AsyncSession(engine) as session, session.begin():
            session.add(Account(id=account_id, email=form.email))
            outbox = rb.outbox(session)
            await outbox.users.identify(account_id, {"email": form.email, "name": form.name, "plan": "free"})
            if form.guest_id:
                await outbox.users.merge(account_id, from_user_id=form.guest_id)
            await outbox.workflows.trigger("welcome", recipients=[account_id])
    except InvalidRequest as error:  # such as an address that is none; nothing was stored
        raise HTTPException(422, [{"field": each.field, "reason": each.reason} for each in error.problems]) from None
    except IntegrityError:
        # rolled back as one: Rollbook never hears of an account that is not there
        raise HTTPException(409, "this address has an account") from None
    return {"id": account_id}


@app.get("/users/{user_id}")
async def show(user_id: str) -> User:
    try:
        return await rb.users.get(user_id)
    except UserNotFound:
        raise HTTPException(404) from None
