"""`use = "files"`: speech in Parquet, JSON or CSV files, or in a folder with a metadata table."""

from typing import Annotated, Literal

from pydantic import BeforeValidator

from speechkit import Field, RecipePath, Speech
from speechkit_corpora.settings import ColumnConfig

REVISION = 1  # goes up when the same files give other rows


def _listed(value: object) -> object:
    return value if isinstance(value, list) else [value]


class FilesConfig(ColumnConfig):
    """Speech in files.

    Rows are in the order of the files, and these in the order they are listed, a pattern's sorted.
    """

    path: Annotated[list[RecipePath], BeforeValidator(_listed), Field(min_length=1)] = Field(
        description="a file, a pattern such as train-*.parquet, a folder with a table "
        "metadata.csv or metadata.jsonl beside its recordings, or a list of these"
    )
    format: Literal["auto", "parquet", "json", "csv", "audiofolder"] = Field(
        "auto", description="auto: by the file's suffix; a folder is an audiofolder"
    )


def build_files(config: FilesConfig) -> Speech:
    """The rows of the files, with the columns of `speechkit.Speech`.

    Raises:
        DataError: a file that is absent or broken, columns or rows that cannot be used.
    """
    # Here, since `datasets` takes a second to import, which `speechkit --help` must not wait for.
    from speechkit_corpora.canonical import canonical  # noqa: PLC0415
    from speechkit_corpora.reading import read_tables  # noqa: PLC0415

    table = read_tables(config.path, config.format)
    settings = config.model_dump_json(exclude={"path", "format"})
    return canonical(table, config, settings=f"files {REVISION} {settings}")
