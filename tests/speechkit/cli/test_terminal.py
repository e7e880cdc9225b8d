"""What stays with a terminal after the process."""

import os
import pty
import signal
import subprocess
import sys
import termios

SILENT = """
import sys, time
from speechkit.cli.ending import TerminationError, ends_tidily
from speechkit.cli.terminal import Keyboard
try:
    with ends_tidily(), Keyboard().unseen():
        print("silent", flush=True)
        time.sleep(60)
except TerminationError:
    sys.exit(143)
"""


def test_a_terminal_shows_what_is_typed_again_after_sigterm():
    ours, theirs = pty.openpty()
    try:
        process = subprocess.Popen(
            [sys.executable, "-c", SILENT], stdin=theirs, stdout=subprocess.PIPE, text=True
        )
        assert process.stdout.readline() == "silent\n"
        assert not shows(theirs)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 143
        process.stdout.close()
        assert shows(theirs)
    finally:
        os.close(ours)
        os.close(theirs)


def shows(terminal):
    return bool(termios.tcgetattr(terminal)[3] & termios.ECHO)
