"""txtai in the same process, which keeps its index in a folder."""

from typing import Any

from txtai import Embeddings

PACKAGES = ("txtai", "transformers", "torch")


class Store:
    """An index with the texts beside it."""

    def __init__(self, place: dict[str, Any]) -> None:
        self._folder = place["folder"]
        self._index = Embeddings(path=place["model"], content=True, gpu=False)
        if not place["is_new"]:
            self._index.load(self._folder)

    def add(self, ids: list[str], texts: list[str]) -> None:
        self._index.upsert([(each, text, None) for each, text in zip(ids, texts, strict=True)])
        self._index.save(self._folder)

    def ask(self, text: str, limit: int) -> list[str]:
        found = self._index.search(text, limit)
        return [each["id"] for each in found]


open_store = Store
