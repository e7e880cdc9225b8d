"""Finding plugins: what they offer, and how a broken one is told."""

import importlib.metadata
import sys
from pathlib import Path

import pytest

from speechkit import PluginError, discovery
from speechkit.discovery import PLUGIN, Offer, Plugins, Row, load_plugins
from speechkit.hookspecs import KINDS

MODEL = """\
from speechkit import Component, Config, hookimpl

@hookimpl
def speechkit_models():
    return [Component({name!r}, Config, object)]
"""


@pytest.fixture
def installed(monkeypatch, tmp_path):
    """Modules as if installed: `installed(entry_point=source, …)`, each by a distribution."""
    monkeypatch.syspath_prepend(tmp_path)
    points: list[importlib.metadata.EntryPoint] = []

    def install(**sources: str | None) -> list[importlib.metadata.EntryPoint]:
        for name, source in sources.items():
            module = f"plugin_of_test_{name}"
            monkeypatch.delitem(sys.modules, module, raising=False)
            if source is not None:
                (tmp_path / f"{module}.py").write_text(source)
            info = tmp_path / f"{name.replace('_', '-')}_dist-1.2.dist-info"
            info.mkdir()
            (info / "METADATA").write_text(f"Name: {name.replace('_', '-')}-dist\nVersion: 1.2\n")
            entry = importlib.metadata.EntryPoint(name, module, "speechkit")
            entry._for(importlib.metadata.PathDistribution(info))
            points.append(entry)
        return points

    monkeypatch.setattr(discovery, "entry_points", lambda group: list(reversed(points)))
    return install


def write(tmp_path: Path, source: str, name: str = "mine.py") -> Path:
    file = tmp_path / name
    file.write_text(source)
    return file


def test_components_are_offered_by_kind_and_name(installed):
    installed(b=MODEL.format(name="second"), a=MODEL.format(name="third"))
    plugins = load_plugins()
    assert [each.component.name for each in plugins.offers("model")] == ["second", "third"]
    assert plugins.rows() == (
        Row("model", "second", "b-dist", "1.2"),
        Row("model", "third", "a-dist", "1.2"),
    )
    found = plugins.find("model", "third")
    assert (found.kind, found.plugin, found.distribution, found.version) == (
        "model",
        "a",
        "a-dist",
        "1.2",
    )
    assert plugins.offers("decoder") == ()


def test_our_own_are_loaded_before_those_of_others(installed):
    *_, ours = installed(a=MODEL.format(name="one"), z=MODEL.format(name="two"))
    metadata = ours.dist._path / "METADATA"
    metadata.write_text(metadata.read_text().replace("z-dist", "speechkit"))
    assert [each.distribution for each in load_plugins().all_offers] == ["speechkit", "a-dist"]


def test_loading_twice_gives_the_same_and_keeps_nothing(installed):
    installed(a=MODEL.format(name="one"))
    assert load_plugins() == load_plugins()


def test_an_entry_point_without_distribution(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(tmp_path)
    write(tmp_path, MODEL.format(name="one"), "plugin_of_nobody.py")
    entry = importlib.metadata.EntryPoint("x", "plugin_of_nobody", "speechkit")
    monkeypatch.setattr(discovery, "entry_points", lambda group: [entry])
    assert load_plugins().rows() == (Row("model", "one", "?", "?"),)


@pytest.mark.parametrize(
    ("named", "theirs"), [("gone", True), ("pack.gone", True), ("pack.needs", False)]
)
def test_an_entry_point_to_a_module_that_is_not_there(monkeypatch, tmp_path, named, theirs):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "pack").mkdir()
    write(tmp_path / "pack", "", "__init__.py")
    write(tmp_path / "pack", "import not_installed\n", "needs.py")
    entry = importlib.metadata.EntryPoint("x", named, "speechkit")
    monkeypatch.setattr(discovery, "entry_points", lambda group: [entry])
    (row,) = load_plugins().rows()
    assert (f'`x = "{named}"` names a module that is not there' in row.remedy) == theirs


def test_a_plugin_that_does_not_import_is_a_row(installed):
    installed(bad="import not_installed\n", worse="import sys; sys.exit(3)\n", gone=None)
    installed(good=MODEL.format(name="one"))
    plugins = load_plugins()
    good, bad, gone, worse = plugins.rows()
    assert good.error is None
    cause = "ModuleNotFoundError: No module named 'not_installed'"
    assert bad == Row(PLUGIN, "bad", "bad-dist", "1.2", f"{cause} (plugin_of_test_bad.py:1)")
    assert "plugin_of_test_gone" in gone.error
    assert worse.error == "SystemExit: 3 (plugin_of_test_worse.py:1)"
    with pytest.raises(PluginError) as caught:
        plugins.find("model", "onne")
    assert str(caught.value).startswith("no plugin offers the model `onne`; the plugin `bad` of")
    assert cause in str(caught.value)
    assert caught.value.hint == "did you mean `one`?"


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ("raise OSError('no disk')", "OSError: no disk"),
        ("raise SystemExit(2)", "SystemExit: 2"),
        ("pass", "TypeError: speechkit_decoders gives None; it returns a list of components"),
        ("return Component('x', Config, object)", "TypeError: speechkit_decoders gives Component("),
        ("return 'greedy'", "TypeError: speechkit_decoders gives 'greedy'"),
        ("return [object]", "speechkit_decoders offers <class 'object'>, which is not a Component"),
        ("return [Component('x', dict, object)]", "its settings are <class 'dict'>"),
        ("return [Component('X y', Config, object)]", "ValueError: a component's name is"),
    ],
)
def test_a_hook_that_fails_is_a_row_and_takes_no_other_with_it(installed, body, error):
    source = MODEL.format(name="one")
    installed(bad=f"{source}\n@hookimpl\ndef speechkit_decoders():\n    {body}\n")
    one, row = load_plugins().rows()
    assert one == Row("model", "one", "bad-dist", "1.2")
    assert (row.kind, row.distribution) == ("decoder", "bad-dist")
    assert row.error.startswith(error)


def test_what_a_hook_gives_before_it_raises_is_kept(installed):
    source = MODEL.format(name="one").replace("    return [", "    yield from [")
    installed(bad=source + "    yield 3\n    raise RuntimeError('later')\n")
    one, three, later = load_plugins().rows()
    assert one.name == "one"
    assert "offers 3" in three.error
    assert later.error == "RuntimeError: later (plugin_of_test_bad.py:7)"


def test_a_plugin_that_offers_a_name_twice_counts_once(installed):
    source = MODEL.format(name="one").replace("object)]", "object)] * 2")
    installed(a=source)
    plugins = load_plugins()
    assert plugins.find("model", "one")
    assert plugins.broken[0].name == "one"
    assert "offers it twice" in plugins.broken[0].error


@pytest.mark.parametrize(
    ("field", "kind"), [("use", "model"), ("start_from", "model"), ("normalization", "features")]
)
def test_a_setting_of_the_engines_name_is_refused(installed, field, kind):
    installed(
        a="from speechkit import Component, Config, hookimpl\n"
        f"class C(Config):\n    {field}: str = ''\n"
        f"@hookimpl\ndef {KINDS[kind]}(): return [Component('x', C, object)]\n"
    )
    (row,) = load_plugins().rows()
    assert f"its setting `{field}` is the engine's own" in row.error


@pytest.mark.parametrize(
    ("source", "error"),
    [
        (
            MODEL.format(name="x").replace("speechkit_models", "speechkit_modles"),
            "speechkit calls no hook `speechkit_modles`; did you mean `speechkit_models`?",
        ),
        (
            MODEL.format(name="x").replace("@hookimpl", ""),
            "`speechkit_models` lacks @hookimpl and is never called",
        ),
        (
            MODEL.format(name="x").replace("models()", "models(settings)"),
            "PluginValidationError: ",
        ),
        ("x = 1\n", "has none of speechkit's hooks"),
    ],
)
def test_a_hook_that_nobody_would_call_is_a_row(installed, source, error):
    installed(a=source)
    (row,) = load_plugins().rows()
    assert (row.kind, row.name) == (PLUGIN, "a")
    assert row.error.startswith(error)


def test_two_plugins_with_one_name_need_an_owner(installed):
    installed(a=MODEL.format(name="one"), b=MODEL.format(name="one"))
    plugins = load_plugins()
    assert [row.distribution for row in plugins.rows()] == ["a-dist", "b-dist"]
    for row in plugins.rows():
        assert "offered by a-dist (plugin `a`) and by b-dist (plugin `b`)" in row.error
        assert '`use = "b-dist:one"`' in row.error
    with pytest.raises(PluginError, match="is offered by a-dist"):
        plugins.find("model", "one")
    assert plugins.find("model", "b-dist:one").plugin == "b"
    assert plugins.find("model", "b:one").plugin == "b"
    with pytest.raises(PluginError) as caught:
        plugins.find("model", "c-dist:one")
    assert "`a-dist:one`" in caught.value.hint


def test_one_name_in_two_kinds_is_no_conflict(installed):
    source = MODEL.format(name="one")
    installed(a=source, b=source.replace("speechkit_models", "speechkit_decoders"))
    assert all(row.error is None for row in load_plugins().rows())


def test_an_unknown_kind_has_near_names():
    for call in (Plugins().offers, lambda kind: Plugins().find(kind, "x")):
        with pytest.raises(PluginError, match="no kind of part `modle`") as caught:
            call("modle")
        assert caught.value.hint == "did you mean `model`?"


# --plugin FILE


def test_a_file_is_a_plugin(no_entry_points, tmp_path):
    file = write(tmp_path, MODEL.format(name="one"))
    plugins = load_plugins([file, file])
    assert plugins.rows() == (Row("model", "one", str(file), ""),)
    assert plugins.find("model", "mine:one").plugin == "mine"


def test_a_file_is_read_anew_every_time(no_entry_points, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    for name in ("one", "two"):  # of the same size, within a second
        file = write(tmp_path, MODEL.format(name=name))
        assert load_plugins([file]).find("model", name)
    assert not list(tmp_path.glob("__pycache__"))


def test_files_of_one_name_are_two_plugins(no_entry_points, tmp_path):
    files = []
    for folder in ("x", "y"):
        (tmp_path / folder).mkdir()
        source = MODEL.format(name=f"of_{folder}").replace("Config, object", "Mine, object")
        source = source.replace("@hookimpl", "class Mine(Config): pass\n@hookimpl")
        files.append(write(tmp_path / folder, source))
    offers = load_plugins(files).offers("model")
    assert [each.component.name for each in offers] == ["of_x", "of_y"]
    for offer in offers:
        config = offer.component.config
        assert sys.modules[config.__module__].Mine is config


def test_a_class_in_a_file_knows_its_annotations(no_entry_points, tmp_path):
    source = (
        "from __future__ import annotations\n"
        "from speechkit import Component, Config, hookimpl\n"
        "class Inner(Config):\n    a: int = 1\n"
        "class Outer(Config):\n    inner: Inner = Inner()\n"
        "@hookimpl\ndef speechkit_models(): return [Component('one', Outer, object)]\n"
    )
    offer = load_plugins([write(tmp_path, source)]).find("model", "one")
    assert offer.component.config().inner.a == 1


@pytest.mark.parametrize(
    ("source", "cause"),
    [
        (None, "FileNotFoundError"),
        ("import not_installed\n", "No module named 'not_installed'"),
        ("def f(:\n", "SyntaxError"),
        ("x = 1\n", "has none of speechkit's hooks"),
    ],
)
def test_a_file_that_does_not_load_is_an_error(no_entry_points, tmp_path, source, cause):
    file = tmp_path / "mine.py"
    if source is not None:
        file.write_text(source)
    with pytest.raises(PluginError, match=cause) as caught:
        load_plugins([file])
    assert str(file) in str(caught.value)
    (row,) = load_plugins([file], lenient=True).rows()
    assert (row.kind, row.name, row.distribution) == (PLUGIN, "mine", str(file))
    assert cause in row.error


@pytest.mark.parametrize(
    ("source", "remedy"),
    [
        (
            "def f(:\n",
            "a defect of FILE; `speechkit --debug --plugin FILE plugins list` shows where",
        ),
        ("import not_installed\n", "install what FILE needs"),
        (
            "from torch import tensr\n",
            "correct it, or install the version of torch it was written for",
        ),
        ("speechkit_api = 99\n", "change the file, or upgrade speechkit, whose interface is 1"),
    ],
)
def test_a_remedy_for_a_file_works_with_a_file(no_entry_points, tmp_path, source, remedy):
    file = tmp_path / "mine.py"
    file.write_text(source)
    with pytest.raises(PluginError) as caught:
        load_plugins([file])
    assert caught.value.hint == remedy.replace("FILE", str(file))


def test_a_folder_is_no_plugin_file(no_entry_points, tmp_path):
    with pytest.raises(PluginError, match="IsADirectoryError"):
        load_plugins([tmp_path])


def test_records_are_frozen(toys):
    offer = toys.offers("model")[0]
    assert isinstance(offer, Offer)
    with pytest.raises(AttributeError):
        offer.kind = "x"
