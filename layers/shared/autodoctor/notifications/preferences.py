"""A user's notification preferences: which kinds, by mail or in the application, and the language."""

from typing import Any, Final, LiteralString, Self
from uuid import UUID

from psycopg.types.json import Jsonb
from pydantic import Field, field_validator, model_validator

from autodoctor.db import Database
from autodoctor.notifications.kinds import Kind
from autodoctor.notifications.words import FALLBACK, locales
from autodoctor.web.schemas import RequestBody, ResponseModel

_CHOSEN: Final[LiteralString] = """
SELECT (SELECT l.locale FROM notification_locales l WHERE l.user_id = %(user_id)s) AS locale,
       (SELECT coalesce(jsonb_object_agg(w.kind, jsonb_build_array(w.email, w.in_app)), '{}')
          FROM notification_preferences w WHERE w.user_id = %(user_id)s) AS chosen
"""
# A statement does not see its own writes, so the answer merges the new rows with the rows read.
_CHOOSE: Final[LiteralString] = """
WITH wanted AS MATERIALIZED (
  SELECT * FROM jsonb_to_recordset(%(wanted)s) AS t (kind text, email boolean, in_app boolean)
), spoken AS (
  INSERT INTO notification_locales AS l (user_id, locale)
  SELECT %(user_id)s, %(locale)s WHERE %(locale)s::text IS NOT NULL
  ON CONFLICT (user_id) DO UPDATE SET locale = excluded.locale, updated_at = clock_timestamp()
  RETURNING locale
), written AS (
  INSERT INTO notification_preferences AS w (user_id, kind, email, in_app)
  SELECT %(user_id)s, kind, email, in_app FROM wanted ORDER BY kind
  ON CONFLICT (user_id, kind) DO UPDATE
    SET email = excluded.email, in_app = excluded.in_app, updated_at = clock_timestamp()
  RETURNING kind, email, in_app
), everything AS (
  SELECT kind, email, in_app FROM written
  UNION ALL
  SELECT kind, email, in_app FROM notification_preferences
   WHERE user_id = %(user_id)s AND kind NOT IN (SELECT kind FROM written)
)
SELECT coalesce((SELECT locale FROM spoken),
                (SELECT l.locale FROM notification_locales l WHERE l.user_id = %(user_id)s)) AS locale,
       (SELECT coalesce(jsonb_object_agg(kind, jsonb_build_array(email, in_app)), '{}') FROM everything) AS chosen
"""


class Wish(RequestBody):
    """The channels that a user chooses for one kind."""

    kind: str
    email: bool
    in_app: bool

    @field_validator("kind")
    @classmethod
    def _known(cls, kind: str) -> str:
        if kind not in set(Kind):
            raise ValueError(f"must be one of {', '.join(Kind)}")
        return kind


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
    """The channels of one kind."""

    kind: Kind
    email: bool
    in_app: bool


class Preferences(ResponseModel):
    """The language, and the channels of every kind."""

    locale: str
    preferences: list[Preference]


def preferences(database: Database, user_id: UUID) -> Preferences:
    """A user's preferences; by default every kind goes out on both channels, in English."""
    return _preferences(database.one(_CHOSEN, {"user_id": user_id}))


def choose(database: Database, user_id: UUID, request: PreferencesRequest) -> Preferences:
    """Apply the changes, and return all preferences."""
    wanted = Jsonb([wish.model_dump() for wish in request.preferences])
    return _preferences(database.one(_CHOOSE, {"user_id": user_id, "locale": request.locale, "wanted": wanted}))


def _preferences(row: Any) -> Preferences:  # noqa: ANN401 (one row, always)
    chosen = row["chosen"]
    return Preferences(
        locale=row["locale"] or FALLBACK,
        preferences=[
            Preference(kind=kind, email=email, in_app=in_app)
            for kind in Kind
            for email, in_app in [chosen.get(kind, (True, True))]
        ],
    )
