"""A headless Chromium, spoken to over a pipe: no driver has to be installed.

The protocol is Chrome's DevTools', JSON messages that end with a zero byte, in on file descriptor
3 and out on 4 (`--remote-debugging-pipe`).
"""

import base64
import json
import os
import shutil
import subprocess
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def installed():
    return next(filter(None, map(shutil.which, NAMES)), None)


class Browser:
    """One page. `problems` are errors and warnings of its console and its network, so far."""

    def __init__(self, home: Path) -> None:
        commands, self._out = os.pipe()
        self._in, answers = os.pipe()
        flags = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-background-networking",
            "--autoplay-policy=no-user-gesture-required",
            "--remote-debugging-pipe",
            f"--user-data-dir={home}",
            "about:blank",
        ]
        script = f"exec {installed()} {' '.join(flags)} 3<&{commands} 4>&{answers}"
        self._process = subprocess.Popen(
            ["bash", "-c", script],
            pass_fds=(commands, answers),
            stderr=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        os.close(commands)
        os.close(answers)
        self._buffer, self._number, self._session = b"", 0, None
        self._events, self.problems, self.requests = [], [], []
        (page,) = [
            each for each in self.send("Target.getTargets")["targetInfos"] if each["type"] == "page"
        ]
        attached = self.send("Target.attachToTarget", targetId=page["targetId"], flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.send(f"{domain}.enable")

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._session = None
        self.send("Browser.close")
        self._process.wait(timeout=30)
        os.close(self._in)
        os.close(self._out)

    def send(self, method, **parameters):
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                return answer["result"]

    def open(self, place: Path):
        """Show a file, and wait until all of it is there."""
        self.problems.clear()
        self.requests.clear()
        self._events.clear()
        self.send("Page.navigate", url=place.resolve().as_uri())
        while "Page.loadEventFired" not in self._events:
            self._next()

    def evaluate(self, expression):
        """What a JavaScript expression gives, as JSON; promises are waited for."""
        found = self.send(
            "Runtime.evaluate",
            expression=expression,
            returnByValue=True,
            awaitPromise=True,
            userGesture=True,
        )
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def screen(self, width, *, height=900, dark=False):
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.send("Emulation.setDeviceMetricsOverride", **size)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.send("Emulation.setEmulatedMedia", features=[scheme])

    def picture(self, place: Path, *, whole=True):
        shot = self.send("Page.captureScreenshot", captureBeyondViewport=whole)
        place.write_bytes(base64.b64decode(shot["data"]))

    def _next(self):
        while b"\0" not in self._buffer:
            read = os.read(self._in, 1 << 20)
            assert read, "chromium has ended"
            self._buffer += read
        message, _, self._buffer = self._buffer.partition(b"\0")
        found = json.loads(message)
        self._note(found.get("method", ""), found.get("params", {}))
        return found

    def _note(self, method, parameters):
        self._events.append(method)
        if method == "Runtime.exceptionThrown":
            self.problems.append(parameters["exceptionDetails"])
        elif method == "Runtime.consoleAPICalled" and parameters["type"] in {"error", "warning"}:
            self.problems.append(parameters["args"])
        elif method == "Log.entryAdded" and parameters["entry"]["level"] in {"error", "warning"}:
            self.problems.append(parameters["entry"])
        elif method == "Network.requestWillBeSent":
            self.requests.append(parameters["request"]["url"])
