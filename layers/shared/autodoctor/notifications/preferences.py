"""A user's notification preferences: which kinds, by mail, in the application or by Web Push, and the language."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, LiteralString, Self
from uuid import UUID

from psycopg.types.json import Jsonb
from pydantic import Field, field_validator, model_validator

from autodoctor.db import Database
from autodoctor.notifications.kinds import PUSHED, CallKind, Kind
from autodoctor.notifications.words import FALLBACK, locales
from autodoctor.web.schemas import RequestBody, ResponseModel

_CHOSEN: Final[LiteralString] = """
SELECT (SELECT l.locale FROM notification_locales l WHERE l.user_id = %(user_id)s) AS locale,
       (SELECT coalesce(jsonb_object_agg(w.kind, jsonb_build_array(w.email, w.in_app, w.push)), '{}')
          FROM notification_preferences w WHERE w.user_id = %(user_id)s) AS chosen
"""
# A statement does not see its own writes, so the answer merges the new rows with the rows read.
_CHOOSE: Final[LiteralString] = """
WITH wanted AS MATERIALIZED (
  SELECT t.kind, coalesce(t.email, w.email, true) AS email, coalesce(t.in_app, w.in_app, true) AS in_app,
         coalesce(t.push, w.push, true) AS push
    FROM jsonb_to_recordset(%(wanted)s) AS t (kind text, email boolean, in_app boolean, push boolean)
    LEFT JOIN notification_preferences w ON w.user_id = %(user_id)s AND w.kind = t.kind
), spoken AS (
  INSERT INTO notification_locales AS l (user_id, locale)
  SELECT %(user_id)s, %(locale)s WHERE %(locale)s::text IS NOT NULL
  ON CONFLICT (user_id) DO UPDATE SET locale = excluded.locale, updated_at = clock_timestamp()
  RETURNING locale
), written AS (
  INSERT INTO notification_preferences AS w (user_id, kind, email, in_app, push)
  SELECT %(user_id)s, kind, email, in_app, push FROM wanted ORDER BY kind
  ON CONFLICT (user_id, kind) DO UPDATE
    SET email = excluded.email, in_app = excluded.in_app, push = excluded.push, updated_at = clock_timestamp()
  RETURNING kind, email, in_app, push
), everything AS (
  SELECT kind, email, in_app, push FROM written
  UNION ALL
  SELECT kind, email, in_app, push FROM notification_preferences
   WHERE user_id = %(user_id)s AND kind NOT IN (SELECT kind FROM written)
)
SELECT coalesce((SELECT locale FROM spoken),
                (SELECT l.locale FROM notification_locales l WHERE l.user_id = %(user_id)s)) AS locale,
       (SELECT coalesce(jsonb_object_agg(kind, jsonb_build_array(email, in_app, push)), '{}') FROM everything) AS chosen
"""


_KINDS: Final[Mapping[str, Kind | CallKind]] = {str(kind): kind for kind in (*Kind, *CallKind)}

type Channel = Literal["email", "in_app", "push"]

_CHANNELS: Final[tuple[Channel, ...]] = ("email", "in_app", "push")


def channels(kind: Kind | CallKind) -> tuple[Channel, ...]:
    """The channels that a kind is sent through, as far as its reader wants them."""
    written: tuple[Channel, ...] = ("email", "in_app") if isinstance(kind, Kind) else ()
    return (*written, "push") if kind in PUSHED else written


class Wish(RequestBody):
    """The channels that a user chooses for one kind; one that is left out stays as it is."""

    kind: str
    email: bool | None = None
    in_app: bool | None = None
    push: bool | None = None

    @field_validator("kind")
    @classmethod
    def _known(cls, kind: str) -> str:
        if kind not in _KINDS:
            raise ValueError(f"must be one of {', '.join(_KINDS)}")
        return kind

    @model_validator(mode="after")
    def _has_the_channel(self) -> Self:
        wished = self.model_dump(exclude={"kind"}, exclude_none=True)
        if other := [name for name in wished if name not in channels(_KINDS[self.kind])]:
            raise ValueError(f"this kind is never sent by {' or '.join(other).replace('_', ' ')}")
        return self


class PreferencesRequest(RequestBody):
    """The changes; whatever is left out stays as it is."""

    locale: str | None = None
    preferences: tuple[Wish, ...] = Field((), strict=False)

    @field_validator("locale")
    @classmethod
    def _known(cls, locale: str | None) -> str | None:
        if locale is not None and locale not in locales():
            raise ValueError(f"must be one of {', '.join(sorted(locales()))}")
        return locale

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        if len({wish.kind for wish in self.preferences}) < len(self.preferences):
            raise ValueError("names a kind twice")
        return self


class Preference(ResponseModel):
    """The channels of one kind; null: it is never sent that way."""

    kind: Kind | CallKind
    email: bool | None
    in_app: bool | None
    push: bool | None


class Preferences(ResponseModel):
    """The language, and the channels of every kind."""

    locale: str
    preferences: list[Preference]


def preferences(database: Database, user_id: UUID) -> Preferences:
    """A user's preferences; by default every kind goes out on all its channels, in English."""
    return _preferences(database.one(_CHOSEN, {"user_id": user_id}))


def choose(database: Database, user_id: UUID, request: PreferencesRequest) -> Preferences:
    """Apply the changes, and return all preferences."""
    wanted = Jsonb([wish.model_dump() for wish in request.preferences])
    return _preferences(database.one(_CHOOSE, {"user_id": user_id, "locale": request.locale, "wanted": wanted}))


def _preferences(row: Any) -> Preferences:  # noqa: ANN401 (one row, always)
    return Preferences(
        locale=row["locale"] or FALLBACK,
        preferences=[_preference(kind, row["chosen"].get(kind, (True, True, True))) for kind in _KINDS.values()],
    )


def _preference(kind: Kind | CallKind, chosen: Sequence[bool]) -> Preference:
    has = channels(kind)
    email, in_app, push = (
        wanted if channel in has else None for channel, wanted in zip(_CHANNELS, chosen, strict=True)
    )
    return Preference(kind=kind, email=email, in_app=in_app, push=push)
