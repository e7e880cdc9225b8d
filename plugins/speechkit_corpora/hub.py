"""`use = "hub"`: a dataset of the Hugging Face hub, downloaded, or read while it is being used."""

from typing import Annotated

from pydantic import AfterValidator, ValidationInfo

from speechkit import Field, Speech
from speechkit_corpora.settings import ColumnConfig, absolute

REVISION = 1  # goes up when the same dataset gives other rows


def _place(path: str, info: ValidationInfo) -> str:
    """A folder where it is written as one; `owner/name` is a dataset of the hub."""
    return absolute(path, info) if path.startswith((".", "/", "~")) else path


class HubConfig(ColumnConfig):
    """A dataset of the Hugging Face hub, or a folder laid out like one.

    Datasets that come as a program are refused, by `datasets` since version 4, and by us.
    """

    path: Annotated[str, AfterValidator(_place)] = Field(
        min_length=1, description="owner/name on the hub; a folder begins with /, ./, ../ or ~"
    )
    config: str | None = Field(None, description="which of the dataset's configurations")
    split: str = Field("train", min_length=1, description="as the dataset names it; train[:10%]")
    revision: str | None = Field(None, description="a commit, a tag or a branch; default: newest")
    streaming: bool = Field(
        default=False,
        description="read row by row while it is used, instead of downloading all first; with "
        "train.streaming, too, training learns from it so",
    )


def build_hub(config: HubConfig) -> Speech:
    """The split's rows with the columns of `speechkit.Speech`.

    Raises:
        DataError: no such dataset, configuration or split; no connexion; columns or rows that
            cannot be used.
    """
    # Here, since `datasets` takes a second to import, which `speechkit --help` must not wait for.
    from speechkit_corpora.loading import load  # noqa: PLC0415

    return load(config, REVISION)
