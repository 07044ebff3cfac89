"""Running the command: events as they come, one document at the end, a cancel that is heard at once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
from typing import Any, Callable, Dict, IO, List, Mapping, Optional, Sequence

from . import errors, progress
from .secret import Secret

#: What is called with each event, from another thread. What it raises cancels the command, and is raised to the caller.
ProgressCallback = Callable[[progress.Event], None]

#: Lines of the command's messages that are kept.
_MESSAGES = 200


class CancelToken:
    """Cancels the calls that it was given to, from any thread; those that are made later as well."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_cancelled = False
        self._running: List["subprocess.Popen[bytes]"] = []

    def cancel(self) -> None:
        """Asks them to stop: the command is told by a signal, and leaves nothing half-visible."""
        with self._lock:
            self._is_cancelled = True
            running = list(self._running)
        for process in running:
            _ask_to_stop(process)

    @property
    def is_cancelled(self) -> bool:
        """Whether :meth:`cancel` was called."""
        with self._lock:
            return self._is_cancelled

    def _watch(self, process: "subprocess.Popen[bytes]") -> None:
        with self._lock:
            self._running.append(process)
            is_cancelled = self._is_cancelled
        if is_cancelled:
            _ask_to_stop(process)

    def _leave(self, process: "subprocess.Popen[bytes]") -> None:
        with self._lock:
            self._running.remove(process)


def _ask_to_stop(process: "subprocess.Popen[bytes]") -> None:
    # Popen holds its own lock against a process that ended meanwhile.
    process.send_signal(signal.SIGTERM)


class _Listener(threading.Thread):
    """Reads standard error: events, and what the command says besides."""

    def __init__(self, stream: IO[bytes], callback: Optional[ProgressCallback], process: "subprocess.Popen[bytes]") -> None:
        super().__init__(name="sealstone-progress", daemon=True)
        self._stream = stream
        self._callback = callback
        self._process = process
        self.messages: List[str] = []
        self.warnings: List[str] = []
        self.raised: Optional[BaseException] = None

    def run(self) -> None:
        for line in self._stream:
            text = line.decode("utf-8", "replace").rstrip("\n")
            event = _event(text)
            if event is None:
                if not text.startswith("{") and len(self.messages) < _MESSAGES:
                    self.messages.append(text)
                continue
            if isinstance(event, progress.Warned):
                self.warnings.append(event.text)
            if self._callback is not None and self.raised is None:
                try:
                    self._callback(event)
                except BaseException as error:  # pylint: disable=broad-except
                    self.raised = error
                    _ask_to_stop(self._process)

    def said(self) -> "tuple[str, Optional[str]]":
        """The error and the hint."""
        error, hint = [], None
        for line in self.messages:
            if line.startswith(" hint: "):
                hint = line[len(" hint: ") :]
            else:
                error.append(line[len("error: ") :] if line.startswith("error: ") else line)
        return "\n".join(error).strip() or "it said nothing", hint


def _event(text: str) -> Optional[progress.Event]:
    if not text.startswith("{"):
        return None
    try:
        return progress.parse(json.loads(text))
    except (ValueError, TypeError, errors.ProtocolError):
        return None


def run(
    command: Sequence[str],
    schema: str,
    *,
    callback: Optional[ProgressCallback] = None,
    cancel: Optional[CancelToken] = None,
    secret: Optional[Secret] = None,
    environment: Optional[Mapping[str, str]] = None,
) -> Dict[str, Any]:
    """Runs the command to its end; gives its document, which has to have this schema.

    Raises what the exit code stands for, or what the callback raised.
    """
    if cancel is not None and cancel.is_cancelled:
        raise errors.CancelledError("cancelled before it began")
    process = _start(command, secret, environment)
    assert process.stdout is not None and process.stderr is not None
    listener = _Listener(process.stderr, callback, process)
    listener.start()
    if cancel is not None:
        cancel._watch(process)
    try:
        answer = process.stdout.read()
        code = process.wait()
    except BaseException:
        # An interrupt, above all: the command hears it too, and is not left alone.
        _ask_to_stop(process)
        process.wait()
        raise
    finally:
        if cancel is not None:
            cancel._leave(process)
        listener.join()
        process.stdout.close()
        process.stderr.close()
    if listener.raised is not None:
        raise listener.raised
    if code != 0:
        message, hint = listener.said()
        raise errors.of_exit(code, message, hint, listener.warnings)
    return _document(answer, schema)


def _start(
    command: Sequence[str], secret: Optional[Secret], environment: Optional[Mapping[str, str]]
) -> "subprocess.Popen[bytes]":
    reading = None if secret is None else _pipe(secret.reveal())
    try:
        if reading is not None:
            command = [part.replace("{secret}", str(reading)) for part in command]
        return subprocess.Popen(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=() if reading is None else (reading,),
            env=None if environment is None else dict(environment),
        )
    except (FileNotFoundError, PermissionError) as error:
        reason = "there is no program" if isinstance(error, FileNotFoundError) else "there is no right to run"
        raise errors.NotInstalledError(f"{reason} {command[0]}") from None
    finally:
        if reading is not None:
            os.close(reading)


def _pipe(content: bytes) -> int:
    """The reading end of a pipe that holds this: a page, which every pipe holds before anybody reads."""
    reading, writing = os.pipe()
    try:
        os.write(writing, content)
    finally:
        os.close(writing)
    return reading


def _document(answer: bytes, schema: str) -> Dict[str, Any]:
    try:
        document = json.loads(answer)
    except ValueError:
        document = None
    found = document.get("schema") if isinstance(document, dict) else None
    if not isinstance(document, dict) or found != schema:
        raise errors.ProtocolError(f"the program answered with {found or 'no document'}, and not with {schema}")
    return document
