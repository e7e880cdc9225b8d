"""What all code of a process shares: noted, and put back where somebody else's code changes it.

To import a plugin is to define things. One that sets PyTorch's default dtype meanwhile, or seeds a
global generator, would change the results of every recipe, those that do not use it included.
"""

import locale
import os
import pickle
import random
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial, reduce
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from textwrap import shorten
from types import ModuleType
from typing import Any

_LONGEST = 80  # characters of a value in a message
_FEW_DRAWS = 1000  # of 32 bits
_CATEGORIES = ("LC_COLLATE", "LC_CTYPE", "LC_MESSAGES", "LC_MONETARY", "LC_NUMERIC", "LC_TIME")
_BACKENDS = (
    *("cudnn.enabled", "cudnn.benchmark", "cudnn.deterministic", "cudnn.allow_tf32"),
    *("mkldnn.enabled", "mkldnn.deterministic"),
    # After `allow_tf32` and the float32 matmul precision, which write these, too.
    *("fp32_precision", "cudnn.fp32_precision", "mkldnn.fp32_precision"),
    *("cudnn.conv.fp32_precision", "cudnn.rnn.fp32_precision", "cuda.matmul.fp32_precision"),
    *("mkldnn.conv.fp32_precision", "mkldnn.rnn.fp32_precision", "mkldnn.matmul.fp32_precision"),
    "cuda.matmul.allow_fp16_reduced_precision_reduction",
    "cuda.matmul.allow_bf16_reduced_precision_reduction",
)
"""Flags below `torch.backends`."""


@dataclass(frozen=True)
class State:
    """Something that all code of a process shares.

    name          in messages: "torch's default dtype"; a mapping's values are told key by key
    read          gives it, as what can be compared
    write         puts back what `read` gave
    is_generator  of random numbers: its value says nothing to a reader
    is_small      whether a change, from what to what, is put back without a word
    """

    name: str
    read: Callable[[], Any]
    write: Callable[[Any], object]
    is_generator: bool = False
    is_small: Callable[[Any, Any], bool] = lambda was, now: False  # noqa: ARG005 - none is

    def value(self) -> object:
        """What it is now. PyTorch raises where its old and its new flags contradict each other."""
        try:
            return self.read()
        except RuntimeError as error:
            return f"unreadable: {error}"


@contextmanager
def kept(modules: Collection[str] | None = None) -> Iterator[list[str]]:
    """Put back whatever is changed inside; the list says, once it is left, what that was.

    A library that is not imported yet is not imported for this: its state is noted as soon as it
    is imported inside, before who imports it can change any.

    Args:
        modules: whose state it is about: keys of `STATES`. None: all of them.

    >>> with kept() as changes:
    ...     os.environ["OMP_DYNAMIC"] = "TRUE"
    >>> changes
    ["the environment variable OMP_DYNAMIC from nothing to 'TRUE'"]
    """
    noted: list[tuple[State, object]] = []
    changes: list[str] = []

    def note(module: str) -> None:
        noted.extend((state, state.value()) for state in STATES[module]())

    wanted = [each for each in STATES if modules is None or each in modules]
    for module in wanted:
        if module in sys.modules:
            note(module)
    watch = _FirstImports(set(wanted) - sys.modules.keys(), note)
    sys.meta_path.insert(0, watch)
    try:
        yield changes
    finally:
        with suppress(ValueError):  # taken away by what was imported
            sys.meta_path.remove(watch)
        changes += _put_back(noted)


def generators() -> list[State]:
    """The global generators of random numbers, of the libraries that are imported."""
    states = (state for module in COMPUTING if module in sys.modules for state in STATES[module]())
    return [each for each in states if each.is_generator]


def _put_back(noted: Iterable[tuple[State, object]]) -> list[str]:
    changed = [(state, was, now) for state, was in noted if (now := state.value()) != was]
    if not changed:
        return []
    for state, was in noted:
        if state.value() != was:  # now: what one of them writes may be another's, too
            with suppress(Exception):  # whatever a library may raise; it is told below
                state.write(was)
    said = []
    for state, was, now in changed:
        if state.is_small(was, now):
            continue
        left = " (which cannot be undone)" if state.value() != was else ""
        said += [f"{each}{left}" for each in _differences(state, was, now)]
    return said


def _differences(state: State, was: object, now: object) -> Iterator[str]:
    if state.is_generator:
        yield state.name
    elif isinstance(was, Mapping) and isinstance(now, Mapping):
        for key in sorted(was.keys() | now.keys()):
            if was.get(key) != now.get(key):
                yield f"{state.name} {key} from {_shown(was.get(key))} to {_shown(now.get(key))}"
    elif isinstance(was, list) and isinstance(now, list):
        parts = [f"{_shown(each)} added" for each in now if each not in was]
        parts += [f"{_shown(each)} removed" for each in was if each not in now]
        yield f"{state.name} ({', '.join(parts) or 'another order'})"
    else:
        yield f"{state.name} from {_shown(was)} to {_shown(now)}"


def _shown(value: object) -> str:
    if value is None:
        return "nothing"
    name = getattr(value, "__qualname__", None) or getattr(value, "name", None)
    text = repr(value) if isinstance(value, str) else str(name or value)
    return shorten(text, _LONGEST, placeholder=" ...")


class _FirstImports(MetaPathFinder):
    """Tells of libraries that are imported for the first time, once they are.

    libraries  to wait for
    told       called with the name of each
    """

    def __init__(self, libraries: Iterable[str], told: Callable[[str], None]) -> None:
        self._waits_for = set(libraries)
        self._told = told

    def find_spec(
        self,
        fullname: str,
        path: object = None,  # noqa: ARG002 - Python's own arguments
        target: object = None,  # noqa: ARG002
    ) -> ModuleSpec | None:
        """What the other finders find, to be told of when it has run."""
        if fullname not in self._waits_for:
            return None
        self._waits_for.remove(fullname)  # so that the search does not come here again
        spec = find_spec(fullname)
        if spec is None or spec.loader is None:
            return spec
        loader = spec.loader
        run = loader.exec_module

        def run_and_tell(module: ModuleType) -> None:
            del loader.exec_module  # the class has it still
            run(module)
            self._told(fullname)

        loader.exec_module = run_and_tell  # type: ignore[method-assign]
        return spec


# What is looked at, by the library it belongs to. Each is called when that is imported already.


def _of_python() -> Iterator[State]:
    yield State("the environment variable", lambda: dict(os.environ), _write_environment)
    yield State("the working directory", _folder, os.chdir)
    yield _search_path()
    yield _warning_filters()
    yield State("the locale's", _locale, _write_locale)
    if threading.current_thread() is threading.main_thread():  # no other may change them
        yield State("the handler of", _handlers, _write_handlers)
    for name in ("stdout", "stderr"):
        yield State(f"sys.{name}", partial(getattr, sys, name), partial(setattr, sys, name))


def _of_random() -> Iterator[State]:
    yield State(
        "the global generator of random",
        random.getstate,
        random.setstate,
        is_generator=True,
        is_small=_is_drawn_from,
    )


def _of_socket() -> Iterator[State]:
    import socket  # noqa: PLC0415 - it is there, as the others below

    yield State("socket's default timeout", socket.getdefaulttimeout, socket.setdefaulttimeout)


def _of_multiprocessing() -> Iterator[State]:
    import multiprocessing  # noqa: PLC0415

    yield State(
        "multiprocessing's start method",
        partial(multiprocessing.get_start_method, allow_none=True),
        partial(multiprocessing.set_start_method, force=True),
    )


def _of_numpy() -> Iterator[State]:
    import numpy as np  # noqa: PLC0415

    draws = np.random
    yield State("numpy's errors of", np.geterr, lambda was: np.seterr(**was))
    yield State("numpy.random's bit generator", draws.get_bit_generator, draws.set_bit_generator)
    yield State(
        "the global generator of numpy.random",
        lambda: pickle.dumps(draws.get_state(legacy=False)),  # arrays in a dict: hard to compare
        lambda was: draws.set_state(pickle.loads(was)),  # noqa: S301 - our own
        is_generator=True,
    )


def _of_torch() -> Iterator[State]:
    import torch  # noqa: PLC0415

    yield State("torch's default dtype", torch.get_default_dtype, torch.set_default_dtype)
    yield State(
        "torch's default device",
        torch.get_default_device,
        lambda was: torch.set_default_device(None if was.type == "cpu" else was),
    )
    yield State("torch's number of threads", torch.get_num_threads, torch.set_num_threads)
    yield State("torch's gradient mode", torch.is_grad_enabled, torch.set_grad_enabled)
    yield State("torch's anomaly mode", torch.is_anomaly_enabled, torch.autograd.set_detect_anomaly)
    yield State(
        "torch's deterministic mode",
        lambda: ("default", "warn", "error")[torch.get_deterministic_debug_mode()],
        torch.set_deterministic_debug_mode,
    )
    yield State(
        "torch's flushing of denormal numbers",
        lambda: sys.float_info.min / 2 == 0,  # PyTorch has no function that tells
        torch.set_flush_denormal,
    )
    for device in ("cpu", "cuda"):
        yield State(
            f"torch's autocast on {device}",
            partial(torch.is_autocast_enabled, device),
            partial(torch.set_autocast_enabled, device),
        )
        yield State(
            f"torch's autocast dtype on {device}",
            partial(torch.get_autocast_dtype, device),
            partial(torch.set_autocast_dtype, device),
        )
    yield State(
        "torch's float32 matmul precision",
        torch.get_float32_matmul_precision,
        torch.set_float32_matmul_precision,
    )
    for flag in _BACKENDS:
        *path, name = flag.split(".")
        place = reduce(getattr, path, torch.backends)
        yield State(
            f"torch.backends.{flag}", partial(getattr, place, name), partial(setattr, place, name)
        )
    cuda = torch.backends.cuda
    for kind in ("flash", "mem_efficient", "math", "cudnn"):
        yield State(
            f"torch's {kind} attention",
            getattr(cuda, f"{kind}_sdp_enabled"),
            getattr(cuda, f"enable_{kind}_sdp"),
        )
    yield State(
        "torch's way to share tensors between processes",
        torch.multiprocessing.get_sharing_strategy,
        torch.multiprocessing.set_sharing_strategy,
    )
    yield State(
        "the global generator of torch",
        lambda: torch.get_rng_state().numpy().tobytes(),
        lambda was: torch.set_rng_state(torch.frombuffer(bytearray(was), dtype=torch.uint8)),
        is_generator=True,
    )


STATES: Mapping[str, Callable[[], Iterator[State]]] = {
    "torch": _of_torch,
    "numpy": _of_numpy,
    "random": _of_random,
    "multiprocessing": _of_multiprocessing,
    "socket": _of_socket,
    "sys": _of_python,
}
"""Module -> what there is of it that all code shares, in the order in which it is put back."""

COMPUTING = ("torch", "numpy", "random")
"""The modules whose state numbers depend on; what is of others, libraries change for themselves."""


def _is_drawn_from(was: Any, now: Any) -> bool:  # noqa: ANN401 - states of a generator
    """Whether a few draws lead from one state to the other: libraries do so when imported.

    Rich is one. Nothing depends on it; to seed the generator is another thing.
    """
    copy = random.Random()  # noqa: S311 - no secret
    copy.setstate(was)
    for _ in range(_FEW_DRAWS):
        copy.getrandbits(32)
        if copy.getstate() == now:
            return True
    return False


def _write_environment(was: Mapping[str, str]) -> None:
    for name in os.environ.keys() - was.keys():
        del os.environ[name]
    os.environ.update(was)


def _folder() -> str | None:
    try:
        return os.getcwd()  # noqa: PTH109 - as os.chdir takes it
    except FileNotFoundError:
        return None  # it was removed


def _search_path() -> State:
    """`sys.path`, without what is added at its end: that hides nothing which was found before."""
    known = list(sys.path)

    def path() -> list[str]:
        last = max((at for at, each in enumerate(sys.path) if each in known), default=-1)
        return sys.path[: last + 1]

    def write(was: list[str]) -> None:
        sys.path[:] = [*was, *sys.path[len(path()) :]]

    return State("sys.path", path, write)


def _warning_filters() -> State:
    """Filters of everybody's warnings. Those that libraries add for their own stay."""
    known = list(warnings.filters)

    def broad() -> list[str]:
        found = (each for each in warnings.filters if _is_broad(each))
        return [f"{action} {_shown(category)}" for action, _, category, *_ in found]

    def write(_: list[str]) -> None:
        own = [each for each in warnings.filters if each not in known and not _is_broad(each)]
        warnings.filters[:] = [*own, *known]  # type: ignore[index]  # it is a list
        with warnings.catch_warnings():  # leaving it tells Python that they are others
            pass

    return State("the warnings' filters", broad, write)


def _is_broad(warning_filter: tuple[Any, ...]) -> bool:
    _, message, category, module, _ = warning_filter
    return message is None and module is None and category.__module__ == "builtins"


def _locale() -> dict[str, str]:
    return {name: locale.setlocale(getattr(locale, name)) for name in _CATEGORIES}


def _write_locale(was: Mapping[str, str]) -> None:
    for name, value in was.items():
        locale.setlocale(getattr(locale, name), value)


def _handlers() -> dict[str, Any]:
    return {each.name: signal.getsignal(each) for each in signal.Signals}


def _write_handlers(was: Mapping[str, Any]) -> None:
    for name, handler in was.items():
        if handler is not None and signal.getsignal(signal.Signals[name]) != handler:
            signal.signal(signal.Signals[name], handler)
