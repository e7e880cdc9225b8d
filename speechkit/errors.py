"""Errors the user can act on; the command line prints them without a traceback."""


class SpeechkitError(Exception):
    """Something the user can put right, with a hint how."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class PluginError(SpeechkitError):
    """A plugin is absent, broken, or offers what it may not."""


class RecipeError(SpeechkitError):
    """A recipe does not say what can be run; carries every problem found, not the first alone."""


class DataError(SpeechkitError):
    """Audio, text or a table that cannot be used; the message names the file or the utterance."""


class RunError(SpeechkitError):
    """A run folder that is in use, belongs to another recipe, or lacks what is asked of it."""


class TerminatedError(SpeechkitError):
    """A run was asked to end (SIGTERM) and did, with what it had done kept."""


class DownloadError(SpeechkitError):
    """A corpus that cannot be fetched, or not unpacked; the message names the address or file."""


class DeviceError(SpeechkitError):
    """A device that is not there, or ran out of memory."""


class BundleError(SpeechkitError):
    """A file that is no bundle, or one that is damaged or made to do harm."""


class ModelError(SpeechkitError):
    """A pretrained model that is not there, damaged, or of a newer speechkit."""
