"""Receivers on loopback that answer as told, byte by byte, over real sockets."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from ssl import SSLContext

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
Answering = Callable[[asyncio.StreamWriter], Awaitable[None]]


class Receiver:
    """One that listens: `requests` are the bytes of those that it has read to their end."""

    def __init__(self, answering: Answering) -> None:
        self.requests: list[bytes] = []
        self.taken = 0
        self.port = 0
        self._answering = answering

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.taken += 1
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
            self.requests.append(head + await reader.readexactly(length))
            await self._answering(writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def receiving(
    answering: Answering, address: str = "127.0.0.1", tls: SSLContext | None = None
) -> AsyncIterator[Receiver]:
    receiver = Receiver(answering)
    tasks: list[asyncio.Task[None]] = []
    server = await asyncio.start_server(
        lambda *streams: tasks.append(asyncio.ensure_future(receiver.take(*streams))), address, 0, ssl=tls
    )
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def saying(*parts: bytes) -> Answering:
    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(b"".join(parts))
        await writer.drain()

    return answer


def dripping(head: bytes, drop: bytes) -> Answering:
    """Return an answer that begins, and goes on by a drop at a time, for ever."""

    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(head)
        while True:
            writer.write(drop)
            await writer.drain()
            await asyncio.sleep(0.01)

    return answer


async def silence(_: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()
