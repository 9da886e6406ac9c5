"""Users: create, update, delete, merge and read them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Literal, Unpack, overload

from rollbook import commands, queries
from rollbook.resources.channel_data import UserChannelData
from rollbook.resources.preferences import UserPreferences
from rollbook_shared.errors import InvalidRequest, Problem

if TYPE_CHECKING:
    from rollbook.commands import WriteOptions
    from rollbook.models import MergePreview, Page, User, UserCount, UserExplanation
    from rollbook.queries import UserSort
    from rollbook.resources.jobs import JobHandle

PAGE_USERS: Final = 500
"""Users that `all` reads with one statement."""


class Users(UserPreferences, UserChannelData):
    """Create, update, delete, merge and read users, their preferences and their channel data.

    **Writes** send a job and return its handle. Each takes these options:

    - `job_id`: an idempotency key, 1 to 128 of `[A-Za-z0-9._:-]`. A second job with the same id changes nothing.
    - `occurred_at`: when it happened (an aware datetime; by default now).
    - `run_at` (an aware datetime) or `delay` (a timedelta, or seconds): when it is to take effect.

    Delivery order does not matter: whatever happened last wins. A deferred job happens when it is due. A write raises

        InvalidRequest: the call is invalid; each problem names its field, and in a bulk job its index. Nothing was
            sent.
        NotConfigured: there is no broker URL. With `rb.outbox(...)`: the table `rollbook_outbox` is missing.
        NotSent: the broker may not have the job; sending it again with the error's `job_id` is safe.

    **Reads** return what the workers have applied so far (`job.wait()` waits for one job). A read raises

        InvalidRequest: an argument is invalid; the problem names it.
        NotConfigured: there is no database URL, the extra `read` is not installed, the tables are missing
            (`rollbook migrate`), or the role in the URL may not read them.
        Unavailable: the database does not answer; trying again later may succeed.
    """

    def identify(
        self,
        user_id: str,
        traits: Mapping[str, Any] | None = None,
        **options: Unpack[WriteOptions],
    ) -> JobHandle:
        """Create the user or update it. Each key that is sent replaces the stored value whole; other keys stay.

            rb.users.identify("ann", {"email": "ann@example.com", "timezone": "Europe/Zurich", "plan": "pro"})

        user_id: 1 to 256 characters, without `/` and `#`; compared byte by byte.
        traits: a flat mapping. Attributes are `email`, `name`, `avatar` (an http or https URL without credentials, or
            a `data:image/` URL), `phone_number` (E.164: `+41315550100`), `locale` (`de-CH`), `timezone` (IANA) and
            `created_at` (RFC 3339 text or an aware datetime); none holds control characters. `preferences` (by set id)
            and `channel_data` (by channel id) are set as the methods of those names do. Every other key is a property
            with any JSON value; the properties of one job take at most 256 KiB as JSON (see `Limits`). None is a value
            and overwrites. `id` and `updated_at` cannot be properties.

        Raises:
            InvalidRequest: the call is invalid; each problem names its field (`email`, `address.zip`). Nothing was
                sent.
            NotConfigured: there is no broker URL.
            NotSent: the broker may not have the job; sending it again with the error's `job_id` is safe.
        """
        job = commands.identify(user_id, traits, limits=self._context.limits, now=self._context.now(), **options)
        return self._context.publish(job)

    def bulk_identify(
        self,
        users: Iterable[Mapping[str, Any]],
        *,
        timestamps: Iterable[datetime] | None = None,
        **options: Unpack[WriteOptions],
    ) -> JobHandle:
        """Identify 1 to 100 users (see `Limits`) in one job.

        All problems of all users are reported, as `users[3].email`; nothing is sent if there is one. If a worker
        still rejects a user, the job's status says so, and the other users are applied.

            rb.users.bulk_identify([{"id": "ann", "plan": "pro"}, {"id": "bo", "name": "Bo"}])

        users: mappings like the `traits` of `identify`, each with its `id`. One job takes at most 64 MiB as JSON.
        timestamps: one aware datetime for each user, if the updates happened at different times. The job happened at
            the last of them. Not with `run_at` or `delay`.

        Raises:
            InvalidRequest, NotConfigured, NotSent: see `Users`.
        """
        job = commands.bulk_identify(users, timestamps, limits=self._context.limits, now=self._context.now(), **options)
        return self._context.publish(job)

    def delete(self, user_id: str, **options: Unpack[WriteOptions]) -> JobHandle:
        """Delete the user with its preferences and channel data. Deleting an unknown user is no error.

        A job that happened before the delete never brings the user back, however late it arrives. A job that happened
        after it creates a new user, which inherits nothing. Deleting a merged-away id does nothing. The user's data
        are erased from all tables once the delete is a day old (`ROLLBOOK_ERASURE_DELAY_HOURS`).

        Raises:
            InvalidRequest, NotConfigured, NotSent: see `Users`.
        """
        job = commands.delete(user_id, limits=self._context.limits, now=self._context.now(), **options)
        return self._context.publish(job)

    def bulk_delete(self, user_ids: Iterable[str], **options: Unpack[WriteOptions]) -> JobHandle:
        """Delete 1 to 100 users (see `Limits`) in one job, each as `delete` does.

        Raises:
            InvalidRequest, NotConfigured, NotSent: see `Users`.
        """
        job = commands.bulk_delete(user_ids, limits=self._context.limits, now=self._context.now(), **options)
        return self._context.publish(job)

    @overload
    def merge(
        self,
        user_id: str,
        from_user_id: str,
        *,
        dry_run: Literal[False] = ...,
        keep_opt_outs: bool = ...,
        merge_tokens: bool = ...,
        **options: Unpack[WriteOptions],
    ) -> JobHandle: ...

    @overload
    def merge(
        self,
        user_id: str,
        from_user_id: str,
        *,
        dry_run: Literal[True],
        keep_opt_outs: bool = ...,
        merge_tokens: bool = ...,
        **options: Unpack[WriteOptions],
    ) -> MergePreview: ...

    @overload
    def merge(
        self,
        user_id: str,
        from_user_id: str,
        *,
        dry_run: bool,
        keep_opt_outs: bool = ...,
        merge_tokens: bool = ...,
        **options: Unpack[WriteOptions],
    ) -> JobHandle | MergePreview: ...

    def merge(
        self,
        user_id: str,
        from_user_id: str,
        *,
        dry_run: bool = False,
        keep_opt_outs: bool = False,
        merge_tokens: bool = False,
        **options: Unpack[WriteOptions],
    ) -> JobHandle | MergePreview:
        """Make the user `from_user_id` (the secondary) part of `user_id` (the primary). A merge cannot be undone.

        The primary keeps its own values and takes over what it lacks: properties key by key at every depth, attributes
        that it does not have, preference sets and channels whole, and the last 30 days of messages and activities. The
        secondary ceases to exist and its id stands for the primary: writes to that id go to the primary, whether they
        happened before or after the merge; deletes of it are ignored. Either user may be unknown yet. Chains and cycles
        are no error: of two merges that contradict each other, the one that happened first counts.

        dry_run: write nothing, and return what the merge would change now. Needs the database, and no broker.
        keep_opt_outs: if both users have a preference set, keep the opt-outs of both. By default the primary's set
            stands, which may subscribe again a person who unsubscribed as a guest.
        merge_tokens: if both users have push tokens on a channel, keep the tokens of both. By default the primary's
            tokens stand, so the phone that the guest used may get no messages any more.

        Raises:
            InvalidRequest: as every write, and if both ids are the same.
            NotConfigured: there is no broker URL; with `dry_run`, as for every read.
            NotSent: the broker may not have the job; sending it again with the error's `job_id` is safe.
            Unavailable: only with `dry_run`: the database does not answer.
        """
        job = commands.merge(
            user_id,
            from_user_id,
            keep_opt_outs=keep_opt_outs,
            merge_tokens=merge_tokens,
            limits=self._context.limits,
            now=self._context.now(),
            **options,
        )
        if dry_run:
            return self._context.read(queries.preview_merge(job, self._context.merge_history))
        return self._context.publish(job)

    def get(self, user_id: str) -> User:
        """Read one user.

        Raises:
            UserNotFound: no user has this id. If it was merged away, `merged_into` is the primary's id.
            InvalidRequest, NotConfigured, Unavailable: see `Users`.
        """
        return self._context.read(queries.find_user(queries.checked_user_id(user_id)))

    def get_many(self, user_ids: Iterable[str]) -> tuple[User, ...]:
        """Read 1 to 1,000 users in the order of their ids as given, each once; those that `get` does not find are left
        out.

        Raises:
            InvalidRequest, NotConfigured, Unavailable: see `Users`.
        """
        return self._context.read(queries.find_users_by_ids(queries.checked_user_ids(user_ids)))

    def list(
        self,
        *,
        limit: int = 50,
        after: str | None = None,
        before: str | None = None,
        where: Mapping[str, Any] | None = None,
        prefix: str | None = None,
        sort: UserSort | None = None,
    ) -> Page[User]:
        """Read a page of users. New users do not shift the pages.

        A page costs the same however many users there are. A page that had to pass over 10,000 users who do not match
        ends there: it has fewer items than `limit`, perhaps none, and its `after` goes on. So the list ends where
        `after` is None, not where a page is short. `all` does this.

        limit: 1 to 1,000 users.
        after: the `after` of a page, to read the next one. Or
        before: the `before` of a page, to read the previous one. Filters and order must be those of that page.
        where: only users that have all of these attributes and properties: `{"plan": "pro", "locale": "de-CH"}`.
            E-mail addresses are compared without regard to case, other attributes as text, properties as JSON. None
            matches an attribute that is not set, and a property that is null. `email` and `phone_number` are looked up
            in an index; other values are compared user by user.
        prefix: only users whose id, e-mail address or name begins with this text of 1 to 200 characters; the latter two
            without regard to case.
        sort: `id` (byte by byte), `created_at` (the attribute; users without one come last) or `updated_at`; with `-`
            before it the largest first. By default by id; with a prefix first the users whose id has it, then by e-mail
            address, then by name. With an e-mail address, phone number or prefix and another order, at most 10,000
            users can match. Of more than 10,000 users `phone_number`, `prefix`, `created_at` and `updated_at` need an
            index that operators create (`rollbook migrate --index prefix`).

        Raises:
            InvalidRequest: also if more than 10,000 users would have to be sorted.
            NotConfigured: also if an optional index is missing; the error names the command that creates it.
            Unavailable: see `Users`.
        """
        which, order, start, end = queries.checked_user_list(limit, after, before, where, prefix, sort)
        return self._context.read(queries.find_users(limit, which, order, start, end))

    def all(
        self, *, where: Mapping[str, Any] | None = None, prefix: str | None = None, sort: UserSort | None = None
    ) -> Iterator[User]:
        """Read all users page by page, each page as it is when the iteration reaches it; arguments as in `list`.

        Raises:
            InvalidRequest, NotConfigured, Unavailable: see `list`; raised when a page is read.
        """
        after: str | None = None
        while True:
            page = self.list(limit=PAGE_USERS, after=after, where=where, prefix=prefix, sort=sort)
            yield from page.items
            if (after := page.after) is None:
                return

    def find(self, *, email: str | None = None, phone_number: str | None = None) -> tuple[User, ...]:
        """Read all users with an e-mail address, without regard to case, or with a phone number, in the order of their
        ids. Neither is unique, so there may be several; with both arguments, users who have both.

            for user in rb.users.find(email="Ann@example.com"): ...

        Raises:
            InvalidRequest: an argument is no text, or there is none.
            NotConfigured: see `Users`; also if there are more than 10,000 users and no index of phone numbers.
            Unavailable: see `Users`.
        """
        where = {name: value for name, value in (("email", email), ("phone_number", phone_number)) if value is not None}
        if not where:
            raise InvalidRequest([Problem("email", "must be given if `phone_number` is not")])
        return self._context.read(queries.find_all_users(queries.checked_user_filter(where, None)))

    def count(self, *, where: Mapping[str, Any] | None = None, prefix: str | None = None) -> UserCount:
        """Count users; arguments as in `list`. The number is exact if at most 10,000 users have to be looked at: all
        users, or those that an index finds. Otherwise it is an estimate from a sample of the table, and `is_exact` says
        so.

        Raises:
            InvalidRequest, NotConfigured, Unavailable: see `Users`.
        """
        return self._context.read(queries.count_users(queries.checked_user_filter(where, prefix)))

    def export(self, user_id: str) -> dict[str, Any]:
        """Read everything that is stored about a person, as one JSON document: the answer to a subject-access request.

        The person is the user that the id stands for, so a merged-away id gives the same document; it lists all ids of
        the person. It covers a deleted user too, until the user is erased. It names other people only by their ids.
        `held` says whether anything was found, and `about` explains each part: `profile`, `profiles`, `preferences`,
        `messages` and so on.

        Raises:
            InvalidRequest, NotConfigured, Unavailable: see `Users`.
        """
        return self._context.read(queries.export_user(queries.checked_user_id(user_id)))

    def explain(self, user_id: str) -> UserExplanation:
        """Read why a user is as it is: which job set each attribute, property, setting and push token, when it
        occurred, and under which id it arrived; which ids stand for the user, and since when; and who owns what was
        addressed to them.

            for value in rb.users.explain("ann").traits:
                print(value.path, value.value, value.job_id)

        An id that was merged away gives the explanation of the user that it stands for. Of a deleted user it gives the
        events, until the user is erased. `rb.jobs.get` says what became of a job while its status is kept.

        Raises:
            UserNotFound: nothing is known of this id.
            InvalidRequest, NotConfigured, Unavailable: see `Users`.
        """
        return self._context.read(queries.explain_user(queries.checked_user_id(user_id)))
