"""Settings: read once from the environment, then passed down by constructor.

A setting exists only where two installations need different values; everything
else is a named constant beside the code that uses it. Nothing else in Staffroom
reads the environment.
"""

import difflib
import os
import platform
from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Literal, get_args
from uuid import UUID

import platformdirs
from pydantic import AfterValidator, AnyHttpUrl, BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from staffroom.errors import ConfigError

PREFIX = "STAFFROOM_"

SIMILARITY_THRESHOLD = 0.05
"""The relevance below which a scenario is not used in an answer."""

BATCH_SIZE = 256
"""How many rows an import embeds and stores in one transaction; fewer, if they are long."""

LEAST_KEY = 16
"""Characters of an API key."""

Precision = Literal["auto", "int8", "float32"]

DEFAULT_TENANT = UUID("00000000-0000-7000-8000-000000000001")
"""The tenant of an installation that serves a single school."""


def _listed(value: Any) -> Any:
    if isinstance(value, str):
        return tuple(item.strip() for item in value.split(",") if item.strip())
    return value


def _checked_key(value: Any) -> Any:
    """Without the space around it, which whoever shows the key would not show."""
    if not isinstance(value, str):
        return value
    key = value.strip()
    if len(key) < LEAST_KEY:
        raise ValueError(f"has {len(key)} characters, and {LEAST_KEY} are the least")
    return key


def _checked_address(address: str) -> str:
    AnyHttpUrl(address)
    return address


class Settings(BaseSettings):
    """Everything that an operator can set. Frozen; secrets print as asterisks."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, frozen=True, extra="forbid", env_ignore_empty=True
    )

    home: Path = Field(
        default_factory=lambda: Path(platformdirs.user_data_dir("staffroom")),
        description="Folder that holds the data of the embedded database.",
    )
    models: Path = Field(
        default_factory=lambda: Path(platformdirs.user_cache_dir("staffroom")) / "models",
        description="Folder that holds model files and the graphs built from them.",
    )
    database_url: SecretStr | None = Field(
        default=None,
        description="A PostgreSQL 16+ with pgvector 0.8.4+ to use instead of the embedded one.",
    )
    database_owner_url: SecretStr | None = Field(
        default=None,
        description="A login that may change the schema, if that of the database URL may not.",
    )
    vector_partitions: int = Field(
        default=1,
        ge=1,
        le=256,
        description="Parts by tenant that the vectors of a new model are kept in, each with an "
        "index of its own, for servers of many large tenants; 1 keeps them together.",
    )
    embedder: str = Field(
        default="local:all-MiniLM-L6-v2",
        description="What turns text into vectors: `local:NAME`, `local:FOLDER` or `openai:NAME`.",
    )
    embedding_precision: Precision = Field(
        default="auto",
        description="In what a local model computes: `int8`, `float32`, or `auto` for what is "
        "faster on this processor, tried at its first start.",
    )
    writer: str = Field(
        default="extractive",
        description="What answers: `extractive`, `llama:NAME`, `llama:FILE`, "
        "`llama:hf:OWNER/REPOSITORY/FILE.gguf` or `openai:NAME`.",
    )
    judge: str | None = Field(
        default=None,
        description="A stronger model that may pass sentences in other words: `openai:NAME`.",
    )
    first_words_seconds: float = Field(
        default=10.0,
        gt=0,
        le=600,
        description="How long a writer may take for its first words before advice is quoted.",
    )
    openai_base_url: Annotated[str, AfterValidator(_checked_address)] = Field(
        default="https://api.openai.com/v1",
        description="Address of the OpenAI-compatible server that `openai:` models are asked at.",
    )
    openai_api_key: SecretStr | None = Field(
        default=None, description="Key for that server, if it wants one."
    )
    host: str = Field(
        default="127.0.0.1",
        description="Address that `staffroom serve` listens on; any but loopback needs an API key.",
    )
    port: int = Field(
        default=8000, ge=0, le=65535, description="Port that `staffroom serve` listens on."
    )
    workers: int = Field(
        default=1, ge=1, le=64, description="Processes that `staffroom serve` answers with."
    )
    api_key: Annotated[SecretStr | None, BeforeValidator(_checked_key)] = Field(
        default=None,
        description="Key that every request has to show; needed to serve other machines.",
    )
    allowed_hosts: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_listed)] = Field(
        default=(),
        description="Host names that the server answers to besides its own, parted by commas.",
    )
    cors_origins: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_listed)] = Field(
        default=(),
        description="Origins of other sites whose pages may use the API, parted by commas.",
    )
    upload_megabytes: int = Field(
        default=200, ge=1, le=100_000, description="Largest file that can be uploaded."
    )
    import_lanes: int = Field(
        default=1,
        ge=0,
        le=16,
        description="Imports that a server process works on at once; 0 leaves all of them, dry "
        "runs too, to `staffroom worker`.",
    )
    tenant: UUID = Field(
        default=DEFAULT_TENANT,
        description="The tenant that commands and the guide's objects act for.",
    )
    starter_library: bool = Field(
        default=True,
        description="Whether a new tenant's library starts with the scenarios that ship along.",
    )
    similarity_threshold: float = Field(
        default=SIMILARITY_THRESHOLD,
        ge=0.0,
        le=1.0,
        description="Relevance below which a scenario is not used in an answer; 0 uses all.",
    )
    hold_back_overdue: bool = Field(
        default=False,
        description="Whether answers leave out scenarios that are past their review date.",
    )
    batch_size: int = Field(
        default=BATCH_SIZE,
        ge=1,
        le=10_000,
        description="Rows that an import stores per transaction; fewer, if they are long.",
    )
    cache_size: int = Field(
        default=10_000, ge=0, description="Embeddings that are kept in memory; 0 keeps none."
    )
    log_level: str = Field(
        default="WARNING",
        pattern="^(DEBUG|INFO|WARNING|ERROR)$",
        description="Least severe log event that is written to standard error.",
    )
    log_format: Literal["text", "json"] = Field(
        default="text", description="text for people, json for what collects logs."
    )
    traces_url: Annotated[str, AfterValidator(_checked_address)] | None = Field(
        default=None,
        description="Where OpenTelemetry traces are sent, by OTLP over HTTP; needs the extra otel.",
    )
    metrics_url: Annotated[str, AfterValidator(_checked_address)] | None = Field(
        default=None,
        description="Where OpenTelemetry metrics are sent, in the same way; needs the extra otel.",
    )


def load_settings(**overrides: Any) -> Settings:
    """Settings from the environment, overridden by what the caller names.

    Raises: ConfigError naming the variable, its value and what is expected; also
        for a STAFFROOM_ variable that does not exist, with the nearest one that does.
    """
    names = {PREFIX + name.upper() for name in Settings.model_fields}
    for name in sorted(os.environ):
        if name.upper().startswith(PREFIX) and name.upper() not in names:
            raise ConfigError(_unknown_setting(name, names))
    try:
        return Settings(**overrides)
    except ValidationError as error:
        raise ConfigError("; ".join(map(_explain, error.errors()))) from error


def is_loopback(host: str) -> bool:
    """Only this machine can reach that address."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def available_cores() -> int:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def processor_name() -> str:
    """What the maker calls this machine's processor."""
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text("utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _unknown_setting(name: str, known: set[str]) -> str:
    own = {setting.removeprefix(PREFIX): setting for setting in known}
    nearest = difflib.get_close_matches(name.upper().removeprefix(PREFIX), own, n=1)
    advice = (
        f"Did you mean {own[nearest[0]]}?" if nearest else f"Known are {', '.join(sorted(known))}."
    )
    return f"there is no setting {name}. {advice}"


def _explain(error: Mapping[str, Any]) -> str:
    field = "_".join(str(part) for part in error["loc"])
    name = PREFIX + field.upper()
    if field in _SECRETS:
        return f"{name} is not valid: {error['msg']}. Set it to a valid value, or unset it."
    return f"{name} is {error['input']!r}: {error['msg']}. Set it to a valid value, or unset it."


_SECRETS = {
    name for name, field in Settings.model_fields.items() if SecretStr in get_args(field.annotation)
}
"""Settings whose value no message shows."""
