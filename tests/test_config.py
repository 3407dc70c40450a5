"""Settings are read once; what is wrong is named with its value and the next step."""

from pathlib import Path

import pytest

from staffroom.config import DEFAULT_TENANT, load_settings
from staffroom.errors import ConfigError


def test_without_any_setting_the_defaults_work_on_one_machine() -> None:
    settings = load_settings()

    assert settings.database_url is None
    assert settings.embedder == "local:all-MiniLM-L6-v2"
    assert settings.writer == "extractive"
    assert settings.tenant == DEFAULT_TENANT


def test_the_environment_and_the_caller_decide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STAFFROOM_HOME", "/somewhere")
    monkeypatch.setenv("STAFFROOM_SIMILARITY_THRESHOLD", "0.0")

    settings = load_settings(writer="openai:some-model")

    assert settings.home == Path("/somewhere")
    assert settings.similarity_threshold == 0.0
    assert settings.writer == "openai:some-model"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("STAFFROOM_SIMILARITY_TRESHOLD", "Did you mean STAFFROOM_SIMILARITY_THRESHOLD?"),
        ("STAFFROOM_XYZ", "Known are STAFFROOM_ALLOWED_HOSTS, "),
    ],
)
def test_an_unknown_setting_is_refused_with_the_nearest(
    monkeypatch: pytest.MonkeyPatch, name: str, words: str
) -> None:
    monkeypatch.setenv(name, "1")

    with pytest.raises(ConfigError) as caught:
        load_settings()

    assert name in str(caught.value)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("STAFFROOM_SIMILARITY_THRESHOLD", "1.5"),
        ("STAFFROOM_BATCH_SIZE", "many"),
        ("STAFFROOM_BATCH_SIZE", "0"),
        ("STAFFROOM_LOG_LEVEL", "loud"),
        ("STAFFROOM_OPENAI_BASE_URL", "nonsense"),
        ("STAFFROOM_OPENAI_BASE_URL", "http://[::1"),
        ("STAFFROOM_OPENAI_BASE_URL", "http://localhost:99999/v1"),
        ("STAFFROOM_OPENAI_BASE_URL", "ftp://localhost/v1"),
        ("STAFFROOM_FIRST_WORDS_SECONDS", "0"),
        ("STAFFROOM_TENANT", "our school"),
    ],
)
def test_a_wrong_value_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)

    with pytest.raises(ConfigError) as caught:
        load_settings()

    assert str(caught.value).startswith(f"{name} is '{value}': ")


def test_an_empty_setting_is_no_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STAFFROOM_HOME", "")

    assert load_settings().home.is_absolute()


def test_secrets_do_not_print(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STAFFROOM_DATABASE_URL", "postgresql://me:hunter2@host/name")
    monkeypatch.setenv("STAFFROOM_OPENAI_API_KEY", "sk-hunter2")

    assert "hunter2" not in repr(load_settings())


def test_space_around_a_key_is_not_part_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STAFFROOM_API_KEY", " 0123456789abcdef\n")
    key = load_settings().api_key

    assert key
    assert key.get_secret_value() == "0123456789abcdef"


@pytest.mark.parametrize("key", ["0123456789abcde", " " * 20, "0123456789abcde     "])
def test_a_short_key_is_refused_and_not_shown(monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    monkeypatch.setenv("STAFFROOM_API_KEY", key)

    with pytest.raises(ConfigError, match="characters, and 16 are the least") as caught:
        load_settings()
    assert "0123" not in str(caught.value)
