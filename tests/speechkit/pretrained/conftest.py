"""A small run, the model made of it, and distributions that ship models."""

import importlib
import shutil
from pathlib import Path

import pytest
import torch
from tone_model import LICENCE, WITH_LM, quiet
from tones import furnish

from speechkit.discovery import load_plugins
from speechkit.pipeline import Pipeline
from speechkit.pretrained.making import make
from speechkit.recipe import read_recipe


@pytest.fixture(autouse=True)
def denormals():
    """Runs and transcribers flush them in their process, which here is the tests'."""
    yield
    torch.set_flush_denormal(False)


@pytest.fixture(scope="package")
def home(tmp_path_factory):
    """A folder with a run and a model made of it; to be copied, not changed."""
    folder = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPEECHKIT_CACHE", str(folder / "cache"))
        patch.chdir(folder)
        patch.setattr("speechkit.report.plots.svg", lambda draw: "")
        furnish(folder)
        (folder / "tones.toml").write_text(WITH_LM)
        plugins = load_plugins()
        for use in ("greedy", "kenlm"):
            read = read_recipe(
                folder / "tones.toml",
                plugins,
                overrides=["train.epochs=25", "train.learning_rate=8e-3", f'decoder.use="{use}"'],
            )
            Pipeline(read, plugins, folder / "runs" / "tones", quiet()).run()
        make(
            folder / "runs" / "tones",
            folder / "models" / "tone-hearer",
            plugins,
            quiet(),
            precision="int8",
            licence=LICENCE,
            notes=["It is for *tests*."],
            overrides=["lm.prune=1e-7"],
        )
    return folder


@pytest.fixture
def model(home, tmp_path, monkeypatch):
    """A copy of the model's folder, and a cache of its own."""
    monkeypatch.setenv("SPEECHKIT_CACHE", str(tmp_path / "cache"))
    return Path(shutil.copytree(home / "models" / "tone-hearer", tmp_path / "m" / "tone-hearer"))


@pytest.fixture
def ship(tmp_path, monkeypatch):
    """Install distributions as pip leaves them: `ship("their-models", tone_hearer=FOLDER)`."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(site)

    def ship(distribution: str, **folders: Path) -> Path:
        package = site / f"{distribution.replace('-', '_')}_files"
        for name, folder in folders.items():
            shutil.copytree(folder, package / name.replace("_", "-"))
        package.mkdir(exist_ok=True)
        (package / "__init__.py").write_text("raise RuntimeError('it is imported')\n")
        info = site / f"{distribution.replace('-', '_')}-1.0.dist-info"
        info.mkdir()
        head = f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n"
        (info / "METADATA").write_text(head)
        entry = f"[speechkit_pretrained]\nmodels = {package.name}\n"
        (info / "entry_points.txt").write_text(entry)
        importlib.invalidate_caches()
        return package

    return ship
