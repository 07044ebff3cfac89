"""Secrets that stay in memory: they go to the command through a pipe, never by an argument, a variable or a file."""

from __future__ import annotations


class Secret:
    """What a registry wants to know, as OpenStack Ironic has it: ``USER:PASSWORD``, or an opaque pull secret, which is the
    value of ``auth`` in Docker's and podman's files. Shows itself nowhere."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        if not text or "\n" in text or "\r" in text or "\0" in text:
            raise ValueError("a secret is one line that is not empty")
        if len(text.encode()) > 4096:
            raise ValueError("a secret of more than 4096 bytes")
        self._text = text

    def reveal(self) -> bytes:
        """The bytes that go to the command."""
        return self._text.encode()

    def __repr__(self) -> str:
        return "Secret(…)"

    __str__ = __repr__

    def __reduce__(self) -> "tuple[object, ...]":
        raise TypeError("a secret is not written down")
