"""Users: told of, ended, merged, read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, Literal, Unpack, overload

from rollbook.commands import WriteOptions, as_list, parse_user
from rollbook.models import MergePreview, Page, User
from rollbook.queries.validation import checked_page, checked_user_id, checked_where
from rollbook.resources.channel_data import ChannelDataCalls
from rollbook.resources.jobs import JobHandle
from rollbook.resources.preferences import PreferenceCalls
from rollbook_shared import jobs
from rollbook_shared.errors import Problem

_PAGE = 500


class Users(PreferenceCalls, ChannelDataCalls):
    """Tell about users, end and merge them, read them.

    Every write takes `job_id`, an idempotency key (1 to 128 of `[A-Za-z0-9._:-]`; the same id sent again changes
    nothing), and when it happened or is to happen: `occurred_at` (aware; by default now), or for later `run_at`
    (aware) or `delay` (a timedelta, or seconds). The result is the same in whatever order jobs arrive: the one that
    happened last counts; a deferred job happens when it is due. A write raises

        InvalidRequest: something is wrong with it, named by field, in a bulk job with the index; nothing was sent.
        NotConfigured: there is no broker URL. Of `rb.outbox(...)`: there is no table `rollbook_outbox`.
        NotSent: the broker may not have it; sending it again with the error's `job_id` is safe.

    A read shows what the workers have applied so far (`job.wait()` waits for a job to be), and raises

        InvalidRequest: an argument cannot be used; the problem names it.
        NotConfigured: there is no database URL, the extra `read` is not installed, the tables are missing
            (`rollbook migrate`), or the URL's role may not read them.
        Unavailable: the database does not answer; trying again later may succeed.
    """

    def identify(
        self,
        user_id: str,
        traits: Mapping[str, Any] | None = None,
        **options: Unpack[WriteOptions],
    ) -> JobHandle:
        """Create the user or update it. Keys that are sent replace the stored value whole; others stay.

            rb.users.identify("ann", {"email": "ann@example.com", "timezone": "Europe/Zurich", "plan": "pro"})

        user_id: 1 to 256 characters, without `/` and `#`; compared byte by byte.
        traits: flat. Attributes are `email`, `name`, `avatar` (a URL), `phone_number` (E.164: `+41315550100`),
            `locale` (`de-CH`), `timezone` (IANA), `created_at` (RFC 3339 text or an aware datetime). `preferences` (by
            set id) and `channel_data` (by channel id) are set as the calls of those names would. Any other key is a
            property, of any JSON value, those of one job at most 256 KiB as JSON (see `Limits`). None is a value and
            overwrites. `id` and `updated_at` are no properties.

        Raises:
            InvalidRequest: something is wrong with it, named by field (`email`, `address.zip`); nothing was sent.
            NotConfigured: there is no broker URL.
            NotSent: the broker may not have it; sending it again with the error's `job_id` is safe.
        """
        found: list[Problem] = []
        user = parse_user(found, {} if traits is None else traits, self._context.limits, user_id=user_id)
        return self._context.send(jobs.Identify, found, options, user=user)

    def bulk_identify(
        self,
        users: Iterable[Mapping[str, Any]],
        *,
        timestamps: Iterable[datetime] | None = None,
        **options: Unpack[WriteOptions],
    ) -> JobHandle:
        """Identify 1 to 100 users (see `Limits`) in one job, each a mapping with an `id`.

        All problems of all users are reported, as `users[3].email`; nothing is sent if there is one. The status of the
        job says of each user that a worker rejected all the same, and the others are applied.

            rb.users.bulk_identify([{"id": "ann", "plan": "pro"}, {"id": "bo", "name": "Bo"}])

        users: as `traits` of `identify`, with the `id` among them. One job is at most 64 MiB as JSON.
        moments: when each user was told of (aware), one for each, where that was not at one time; the job happened at
            the last of them. Not with `run_at` or `delay`.

        Raises:
            InvalidRequest, NotConfigured, NotSent: see `Users`.
        """
        found: list[Problem] = []
        given = as_list(found, users, "users", limit=self._bulk_limit, what="users")
        user_updates = tuple(
            parse_user(found, user, self._context.limits, where=f"users[{index}]", index=index)
            for index, user in enumerate(given)
        )
        told_at = () if timestamps is None else self._context.timestamps(found, timestamps, options)
        return self._context.send(jobs.BulkIdentify, found, options, users=user_updates, timestamps=told_at)

    def delete(self, user_id: str, **options: Unpack[WriteOptions]) -> JobHandle:
        """Delete the user with its preferences and channel data. An unknown user is no error.

        What was told before the delete never brings the user back, however late it arrives; what is told after it
        makes a user that inherits nothing. A merged-away id deletes nobody. What is left in the tables is erased once
        the delete is a day old (`ROLLBOOK_ERASURE_DELAY_HOURS`).

        Raises:
            InvalidRequest, NotConfigured, NotSent: see `Users`.
        """
        return self._context.send(jobs.Delete, [], options, user_id=user_id)

    def bulk_delete(self, user_ids: Iterable[str], **options: Unpack[WriteOptions]) -> JobHandle:
        """Delete 1 to 100 users (see `Limits`) in one job, each as `delete` would.

        Raises:
            InvalidRequest, NotConfigured, NotSent: see `Users`.
        """
        found: list[Problem] = []
        given = as_list(found, user_ids, "user_ids", limit=self._bulk_limit, what="user ids")
        return self._context.send(jobs.BulkDelete, found, options, user_ids=given)

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
        """Make the user `from_user_id` (the secondary) a part of `user_id` (the primary). There is no way back.

        The primary keeps what it has and takes over what it lacks: properties key by key at every depth, attributes
        where it has none, preference sets and channels whole, and 30 days of messages and activities. The secondary
        ceases to be, and its id stands for the primary: what is written to it, before or after, reaches the primary,
        and a delete of it does nothing. Either may be unknown yet. Chains and cycles are no error: of two merges that
        contradict each other, the one that happened first counts.

        dry_run: write nothing, and say what would change if it were applied now. Needs the database, and no broker.
        keep_opt_outs: where both have a preference set, what either did not want to hear of stays unwanted. Without it
            the primary's set stands, which may subscribe a person again who had unsubscribed as a guest.
        merge_tokens: where both have push tokens on a channel, keep those of both. Without it the primary's stand,
            which may silence the phone that the guest used.

        Raises:
            InvalidRequest: as every write, and where both ids are one.
            NotConfigured: there is no broker URL; with `dry_run`, as of every read.
            NotSent: the broker may not have it; sending it again with the error's `job_id` is safe.
            Unavailable: only with `dry_run`: the database does not answer.
        """
        renames = {"primary_id": "user_id", "secondary_id": "from_user_id"}
        merge = {
            "primary_id": user_id,
            "secondary_id": from_user_id,
            "keep_opt_outs": keep_opt_outs,
            "merge_tokens": merge_tokens,
        }
        if dry_run:
            job = self._context.make(jobs.Merge, [], options, renames, **merge)  # rejected before the database is asked
            return self._context.reader().merge_preview(job)
        return self._context.send(jobs.Merge, [], options, renames, **merge)

    def get(self, user_id: str) -> User:
        """Read one user.

        Raises:
            UserNotFound: nobody has this id now; `merged_into` names the user that a merged-away id stands for.
            InvalidRequest, NotConfigured, Unavailable: see `Users`.
        """
        user_id = checked_user_id(user_id)
        return self._context.reader().user(user_id)

    def list(self, *, limit: int = 50, after: str | None = None, where: Mapping[str, Any] | None = None) -> Page[User]:
        """Read a page of users in the order of their ids (compared byte by byte). Users added meanwhile shift no page.

        limit: 1 to 1,000.
        after: the `after` of the page before.
        where: only users with all of these attributes and properties, equal as JSON: `{"plan": "pro", "email": None}`.
            None for an attribute: it has none; for a property: it is null.

        Raises:
            InvalidRequest, NotConfigured, Unavailable: see `Users`.
        """
        checked_page(limit, after)
        filters = checked_where(where)
        return self._context.reader().users(limit, after, filters)

    def all(self, *, where: Mapping[str, Any] | None = None) -> Iterator[User]:
        """Read all users, page by page, each page as it is when it is reached; `where` as in `list`.

        Raises:
            InvalidRequest, NotConfigured, Unavailable: see `Users`; of a page, when it is read.
        """
        after: str | None = None
        while True:
            page = self.list(limit=_PAGE, after=after, where=where)
            yield from page.items
            if (after := page.after) is None:
                return

    def export(self, user_id: str) -> dict[str, Any]:
        """Gather everything that is held of a person, as a JSON document: what a subject-access request asks for.

        The person is whoever the id stands for, so that a merged-away id gives the same; all its ids are in it. Also
        a deleted user's, until it is erased. Of other people there is nothing but ids. `held` says whether anything
        was found, `about` what each part is: `profile`, `told`, `preferences`, `messages` and so on.

        Raises:
            InvalidRequest, NotConfigured, Unavailable: see `Users`.
        """
        user_id = checked_user_id(user_id)
        return self._context.reader().export(user_id)
