"""Parquet files for tests."""

from pathlib import Path

from arro3.core import Array, DataType, Field, Table, list_array, struct_array
from arro3.io import write_parquet as write


def write_parquet(path: Path) -> None:
    """Two rows with a list, a day, a number and a struct."""
    texts = Array(["Noise.", "Quarrels."], type=DataType.string())
    parts = Array(["a", "b", "c"], type=DataType.string())
    tags = list_array(Array([0, 2, 3], type=DataType.int32()), parts)
    days = Array([20_969, 20_970], type=DataType.int32()).cast(DataType.date32())
    numbers = Array([7, 8], type=DataType.int64())
    inner = Field("author", DataType.string(), nullable=True)
    table = Table.from_arrays(
        [numbers, texts, tags, days, struct_array([texts], fields=[inner])],
        names=["id", "text", "tags", "review_by", "metadata"],
    )
    write(table, str(path))
