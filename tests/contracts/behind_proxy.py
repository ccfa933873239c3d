"""A proxy before a store that keeps its connections."""

from __future__ import annotations

from http.client import HTTPConnection, HTTPResponse

from tests.harness.http_proxy import FaultyProxy


class Answer(HTTPResponse):
    """An answer that is over with its last byte, so that its connection can be used again."""

    def read1(self, n: int = -1) -> bytes:
        """A piece of the body."""
        piece = super().read1(n)
        if self.length == 0:
            self.close()
        return piece


class Proxy(FaultyProxy):
    """One that keeps its connections to the store."""

    def connect(self) -> HTTPConnection:
        """A new connection to the server."""
        connection = super().connect()
        connection.response_class = Answer
        return connection
