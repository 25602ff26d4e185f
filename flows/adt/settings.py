"""Settings of patient care."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, Field, SecretStr, model_validator

from connectors.addresses import is_safe
from connectors.adt.fields import part
from flows.settings.part import Duration, Interval, Timed
from state.adt.deidentified import SMALL_ZIP3
from state.clock import DAY_NS, HOUR_NS
from state.errors import OutOfRange


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"{name!r} is no time zone of the IANA database") from None
    return name


def _address(url: str) -> str:
    if url and not is_safe(url):
        raise ValueError("it has to be https://…, or http:// to a loopback address, without a user")
    return url.rstrip("/")


def _domain(name: str) -> str:
    try:
        is_plain = name == part(name).strip() != ""
    except OutOfRange as error:
        raise ValueError(f"{name!r} is no name of a domain: {error}") from None
    if not is_plain:
        raise ValueError(f"{name!r} is no name of a domain")
    return name


MOST_WINDOWS = 1000
"""Of the census that a message may correct: each ward has a record of each."""


class Adt(Timed):
    """Patient care. What is not excluded is part of the settings' hash."""

    max_ahead: Duration = DAY_NS
    """How far ahead of its Kafka timestamp a recorded time may be: clocks of senders differ, and
    so do their zones."""
    topic: str = "adt.raw"
    """HL7 v2 messages; what belongs together is in one partition."""
    pages: int = Field(default=65_536, ge=1)
    """Pages of patients in each shard: an epoch writes those that were touched."""
    domains: dict[str, Annotated[str, AfterValidator(_domain)]] = {}
    """Facilities (MSH-4, else MSH-3, as sent) that share an index of patients -> the name of what
    they are together: only within it patients are merged, and visits moved."""
    timezone: Annotated[str, AfterValidator(_zone)] = "UTC"
    """The zone of times that name none, in a message that names none, such as Europe/Berlin."""
    census_window: Interval = HOUR_NS
    """How long a window of the census is."""
    correct_census: Duration = 7 * DAY_NS
    """How old a window of the census may be that a late message still corrects."""
    horizon: Interval = 400 * DAY_NS
    """How far behind the clock of its domain a message may have been recorded; visits that are over
    are forgotten after twice of it."""
    fhir_base: Annotated[str, AfterValidator(_address)] = Field(default="", exclude=True)
    """The address of a FHIR R4 server, which `headrace run fhir` sends to ..."""
    fhir_token: SecretStr = Field(default=SecretStr(""), exclude=True)
    """... and the bearer token that it asks for; '' for none."""
    deidentify: Literal["", "safe_harbor", "pseudonymised"] = Field(default="", exclude=True)
    """How ``headrace deidentify adt`` writes tables of no person; ``headrace run deid`` hands them
    on as they change, where it is pseudonymised. ..."""
    deidentify_days: int = Field(default=365, ge=1, le=36_500, exclude=True)
    """... By how many days a patient's times move at most, where they are pseudonymised. ..."""
    small_zip3: tuple[Annotated[str, Field(pattern=r"^\d{3}$")], ...] = Field(
        default=SMALL_ZIP3, exclude=True
    )
    """... First three digits of ZIP codes of areas with 20,000 people or fewer: those of 2000."""
    omop: bool = Field(default=False, exclude=True)
    """Whether the history flow writes OMOP's rows as well, opened and in clear. ..."""
    vocabulary: Path | None = Field(default=None, exclude=True)
    """... A folder of Athena's files, by which codes become concepts."""

    @model_validator(mode="after")
    def _fit(self) -> Adt:
        if self.correct_census > MOST_WINDOWS * self.census_window:
            raise ValueError(f"correct_census is more than {MOST_WINDOWS} times census_window")
        for name in self.domains.values():
            if self.domains.get(name, name) != name:
                raise ValueError(f"domains: {name} is a domain, and part of another one")
        if self.correct_census > self.horizon:
            raise ValueError("correct_census is longer than horizon")
        return self


class Moved(Timed):
    """What the rows of the flow ``deid`` depend on: another needs a new generation."""

    days: int = 365
    small_zip3: tuple[str, ...] = SMALL_ZIP3
