"""What a ComfyUI server tells while it works: a small WebSocket client (RFC 6455) and its message forms."""

from __future__ import annotations

import base64
import json
import os
import select
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

TEXT_FRAME, BINARY_FRAME, CLOSE_FRAME, PING_FRAME, PONG_FRAME = 1, 2, 8, 9, 10
NODE_TEXT = 3  # the host's binary message that carries a line of text for one node
POLL = 0.5  # seconds; on Windows a longer wait for data would hold back Ctrl+C
CHUNK = 1 << 16


@dataclass(frozen=True)
class Event:
    """One message: its type and data. A node's line of text has the type `node_text`."""

    type: str
    data: dict[str, Any]


def read_event(opcode: int, payload: bytes) -> Event | None:
    """The event in a WebSocket message, or None for one that does not matter here, such as a preview image."""
    if opcode == TEXT_FRAME:
        message = json.loads(payload)
        return Event(message["type"], message.get("data") or {})
    if opcode == BINARY_FRAME and len(payload) >= 8 and struct.unpack(">I", payload[:4])[0] == NODE_TEXT:
        end = 8 + struct.unpack(">I", payload[4:8])[0]
        return Event("node_text", {"node": payload[8:end].decode(), "text": payload[end:].decode(errors="replace")})
    return None


def make_frame(opcode: int, payload: bytes) -> bytes:
    """A frame of under 126 bytes from client to server; such frames are masked."""
    mask = os.urandom(4)
    body = bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))
    return bytes([0x80 | opcode, 0x80 | len(payload)]) + mask + body


class EventSocket:
    """An open connection to `/ws`; iterate over `events`.

    Args:
        port: the server's port on the loopback.
        client: name under which prompts are queued; their messages come to this connection.

    Raises:
        ConnectionError: the server refuses or ends the connection.
    """

    def __init__(self, port: int, client: str) -> None:
        self._buffer = bytearray()
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        key = base64.b64encode(os.urandom(16)).decode()
        lines = [f"GET /ws?clientId={client} HTTP/1.1", f"Host: 127.0.0.1:{port}", "Upgrade: websocket"]
        lines += ["Connection: Upgrade", f"Sec-WebSocket-Key: {key}", "Sec-WebSocket-Version: 13", "", ""]
        self._socket.sendall("\r\n".join(lines).encode())
        status, _, _ = self._read_until(b"\r\n\r\n").partition(b"\r\n")
        if b" 101 " not in status + b" ":
            raise ConnectionError(f"The server refused a WebSocket: {status.decode(errors='replace')}")

    def __enter__(self) -> EventSocket:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def events(self) -> Iterator[Event]:
        """Events as they come.

        Raises:
            ConnectionError: the server ended the connection.
        """
        while True:
            opcode, payload = self._message()
            if opcode == CLOSE_FRAME:
                raise ConnectionError("The server closed the connection.")
            if opcode == PING_FRAME:
                self._socket.sendall(make_frame(PONG_FRAME, payload))
                continue
            event = read_event(opcode, payload)
            if event is not None:
                yield event

    def _message(self) -> tuple[int, bytes]:
        """A whole message, its frames joined; control frames may come between and are returned at once."""
        first, whole = 0, b""
        while True:
            head, length = self._read(2)
            if length == 126:
                (length,) = struct.unpack(">H", self._read(2))
            elif length == 127:
                (length,) = struct.unpack(">Q", self._read(8))
            payload = bytes(self._read(length))
            opcode = head & 0x0F
            if opcode == PING_FRAME and first:
                self._socket.sendall(make_frame(PONG_FRAME, payload))
                continue
            if opcode >= CLOSE_FRAME and opcode != PONG_FRAME:
                return opcode, payload
            if opcode != PONG_FRAME:
                first, whole = first or opcode, whole + payload
                if head & 0x80:
                    return first, whole

    def _receive(self) -> None:
        while not select.select([self._socket], [], [], POLL)[0]:
            pass
        data = self._socket.recv(CHUNK)
        if not data:
            raise ConnectionError("The server ended the connection.")
        self._buffer += data

    def _read(self, size: int) -> bytearray:
        while len(self._buffer) < size:
            self._receive()
        data, self._buffer = self._buffer[:size], self._buffer[size:]
        return data

    def _read_until(self, mark: bytes) -> bytes:
        while mark not in self._buffer:
            self._receive()
        return bytes(self._read(self._buffer.index(mark) + len(mark)))
