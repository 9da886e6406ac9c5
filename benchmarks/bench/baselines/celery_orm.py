"""Stock Celery, one task per user, with SQLAlchemy's ORM: get, update, commit. What most would write first."""

from __future__ import annotations

import functools
from typing import Any

from benchmarks.bench.baselines import table
from benchmarks.bench.baselines.stock_celery import make_app
from celery import Celery
from sqlalchemy import create_engine
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker

TASK = "baseline.orm"


class Base(DeclarativeBase):
    """Base class of the models."""


class User(Base):
    """A user and its traits."""

    __tablename__ = "users"
    id: Mapped[str] = mapped_column(primary_key=True)
    data: Mapped[dict[str, Any]] = mapped_column(JSONB)


@functools.cache
def sessions() -> sessionmaker[Session]:
    """Created in the child that uses it: connections do not survive a fork."""
    return sessionmaker(create_engine(table.database_url().replace("postgresql:", "postgresql+psycopg:", 1)))


def keep(user_id: str, traits: dict[str, Any]) -> None:
    with sessions()() as session, session.begin():
        user = session.get(User, user_id)
        if user is None:
            session.add(User(id=user_id, data=traits))
        else:
            user.data = {**user.data, **traits}


def celery_app(broker_url: str) -> Celery:
    return make_app("baseline_orm", broker_url, TASK, keep)


app = celery_app(table.broker_url())
