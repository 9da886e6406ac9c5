"""Users: told of, ended, merged, read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal, Unpack, overload

from rollcall.answers import MergePreview, Page, User
from rollcall.channels import ChannelDataCalls
from rollcall.jobs import Job
from rollcall.making import Options, listed, telling_of
from rollcall.preferences import PreferenceCalls
from rollcall.questions import checked_page, checked_user_id, checked_where
from rollcall_shared import jobs
from rollcall_shared.errors import Problem

_PAGE = 500


class Users(PreferenceCalls, ChannelDataCalls):
    """Tell about users, end and merge them, read them.

    Every write takes `job_id`, an idempotency key (1 to 128 of `[A-Za-z0-9._:-]`; the same id sent again changes
    nothing), and when it happened or is to happen: `occurred_at` (aware; by default now), or for later `run_at`
    (aware) or `delay` (a timedelta, or seconds). The result is the same in whatever order jobs arrive: the one that
    happened last counts; a deferred job happens when it is due. Every write raises `InvalidJob` when something is
    wrong with it, naming each field, and nothing was sent; and `NotSent` when the broker may not have it, and sending
    it again with the error's `job_id` is safe.

    Every read shows what the workers have applied so far (`job.wait()` waits for a job to be), and raises
    `NotConfigured` without a database URL or the extra `read`, and `Unavailable` when the database does not answer.
    """

    def identify(
        self,
        user_id: str,
        traits: Mapping[str, Any] | None = None,
        **options: Unpack[Options],
    ) -> Job:
        """Create the user or update it. Keys that are sent replace the stored value whole; others stay.

        traits: attributes (`email`, `name`, `avatar`, `phone_number`, `locale`, `timezone`, `created_at`: text, or
            for the last an aware
            datetime), `preferences`, `channel_data`; any other key is a property.
        """
        found: list[Problem] = []
        user = telling_of(found, {} if traits is None else traits, self._desk.limits, user_id=user_id)
        return self._desk.send(jobs.Identify, found, options, user=user)

    def bulk_identify(
        self,
        users: Iterable[Mapping[str, Any]],
        **options: Unpack[Options],
    ) -> Job:
        """Identify 1 to 100 users (see `Limits`) in one job, each a mapping with an `id`.

        All problems of all users are reported, as `users[3].email`; nothing is sent if there is one.
        """
        found: list[Problem] = []
        given = listed(found, users, "users", limit=self._bulk_limit, what="users")
        tellings = tuple(
            telling_of(found, user, self._desk.limits, where=f"users[{index}]", index=index)
            for index, user in enumerate(given)
        )
        return self._desk.send(jobs.BulkIdentify, found, options, users=tellings)

    def delete(self, user_id: str, **options: Unpack[Options]) -> Job:
        """Delete the user with its preferences and channel data. An unknown user is no error."""
        return self._desk.send(jobs.Delete, [], options, user_id=user_id)

    def bulk_delete(self, user_ids: Iterable[str], **options: Unpack[Options]) -> Job:
        """Delete 1 to 100 users (see `Limits`) in one job."""
        found: list[Problem] = []
        given = listed(found, user_ids, "user_ids", limit=self._bulk_limit, what="user ids")
        return self._desk.send(jobs.BulkDelete, found, options, user_ids=given)

    @overload
    def merge(
        self,
        user_id: str,
        from_user_id: str,
        *,
        dry_run: Literal[False] = ...,
        keep_opt_outs: bool = ...,
        unite_tokens: bool = ...,
        **options: Unpack[Options],
    ) -> Job: ...

    @overload
    def merge(
        self,
        user_id: str,
        from_user_id: str,
        *,
        dry_run: Literal[True],
        keep_opt_outs: bool = ...,
        unite_tokens: bool = ...,
        **options: Unpack[Options],
    ) -> MergePreview: ...

    @overload
    def merge(
        self,
        user_id: str,
        from_user_id: str,
        *,
        dry_run: bool,
        keep_opt_outs: bool = ...,
        unite_tokens: bool = ...,
        **options: Unpack[Options],
    ) -> Job | MergePreview: ...

    def merge(
        self,
        user_id: str,
        from_user_id: str,
        *,
        dry_run: bool = False,
        keep_opt_outs: bool = False,
        unite_tokens: bool = False,
        **options: Unpack[Options],
    ) -> Job | MergePreview:
        """Make the user `from_user_id` (the secondary) a part of `user_id` (the primary). There is no way back.

        The primary keeps what it has and takes over what it lacks; the secondary ceases to be, and its id stands for
        the primary.

        dry_run: write nothing, and say what would change if it were applied now. Needs the database.
        keep_opt_outs: where both have a preference set, what either did not want to hear of stays unwanted. Without it
            the primary's set stands, which may subscribe a person again who had unsubscribed as a guest.
        unite_tokens: where both have push tokens on a channel, keep those of both. Without it the primary's stand,
            which may silence the phone that the guest used.
        """
        renames = {"primary_id": "user_id", "secondary_id": "from_user_id"}
        merge = {
            "primary_id": user_id,
            "secondary_id": from_user_id,
            "keep_opt_outs": keep_opt_outs,
            "unite_tokens": unite_tokens,
        }
        if dry_run:
            job = self._desk.make(jobs.Merge, [], options, renames, **merge)  # refused before the database is asked
            return self._desk.reader().merge_preview(job)
        return self._desk.send(jobs.Merge, [], options, renames, **merge)

    def get(self, user_id: str) -> User:
        """Read one user.

        Raises:
            UserNotFound: nobody has this id now; `merged_into` names the user that a merged-away id stands for.
        """
        user_id = checked_user_id(user_id)
        return self._desk.reader().user(user_id)

    def list(self, *, limit: int = 50, after: str | None = None, where: Mapping[str, Any] | None = None) -> Page[User]:
        """Read a page of users in the order of their ids (compared byte by byte). Users added meanwhile shift no page.

        limit: 1 to 1,000.
        after: the `after` of the page before.
        where: only users with all of these attributes and properties, equal as JSON; None for an attribute: it has
            none.
        """
        checked_page(limit, after)
        filters = checked_where(where)
        return self._desk.reader().users(limit, after, filters)

    def all(self, *, where: Mapping[str, Any] | None = None) -> Iterator[User]:
        """Read all users, page by page; `where` as in `list`."""
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
        was found, `about` what each part is.
        """
        user_id = checked_user_id(user_id)
        return self._desk.reader().export(user_id)
