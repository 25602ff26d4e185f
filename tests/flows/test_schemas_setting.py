"""The settings of Avro schemas: where they are, and a login that is never told."""

from __future__ import annotations

import pytest

from flows.config import load, secrets
from flows.market.settings import Market
from flows.settings.part import settings_hash
from state.errors import SettingsError


def loaded(**variables: str):
    return load(None, {f"HEADRACE_MARKET__{name}": value for name, value in variables.items()})


def test_the_password_is_masked_and_never_logged():
    found = loaded(SCHEMAS="http://r:8081", SCHEMAS_USERNAME="u", SCHEMAS_PASSWORD="s3cret")
    values = {setting.name: setting.value for setting in found.listing()}
    assert values["market.schemas_password"] == "********"
    assert values["market.schemas"] == "http://r:8081"
    assert "s3cret" in secrets(found.settings)


def test_a_password_in_the_file_is_refused(tmp_path):
    path = tmp_path / "headrace.toml"
    path.write_text('[market]\nschemas_password = "s3cret"\n')
    with pytest.raises(SettingsError, match="is a secret") as caught:
        load(path, {})
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "said"),
    [("https://u:s3cret@r:8081", "holds a login"), ("ftp://r/s3cret", "neither a directory")],
)
def test_a_url_that_cannot_be_used_is_refused_without_repeating_it(url, said):
    with pytest.raises(SettingsError, match=said) as caught:
        loaded(SCHEMAS=url)
    assert "s3cret" not in str(caught.value)


def test_the_hash_tells_whether_there_are_schemas_and_not_where():
    def hashed(**variables: str) -> str:
        return settings_hash(loaded(**variables).settings.of(Market), 1)

    directory = hashed(SCHEMAS="schemas")
    assert directory == hashed(SCHEMAS="http://r:8081", SCHEMAS_PASSWORD="x", SCHEMAS_USERNAME="u")
    assert directory != hashed()
