"""An ASGI app under hypercorn: ADDRESS [--tls]. Shouts what it is sent, over requests and WebSockets alike."""

import asyncio
import os
import sys

from hypercorn.asyncio import serve
from hypercorn.config import Config

address, *options = sys.argv[1:]


async def app(scope, receive, send):
    if scope["type"] == "http":
        body = b""
        while True:
            event = await receive()
            body += event.get("body", b"")
            if not event.get("more_body"):
                break
        answer = f"HTTP/{scope['http_version']} ".encode() + body.upper()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", str(len(answer)).encode())]})
        await send({"type": "http.response.body", "body": answer})
    elif scope["type"] == "websocket":
        assert (await receive())["type"] == "websocket.connect"
        await send({"type": "websocket.accept"})
        while (event := await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": event["text"].upper()})


async def main():
    config = Config()
    config.bind = [address]
    if "--tls" in options:
        config.certfile, config.keyfile = "server.pem", "server.key"
    serving = asyncio.create_task(serve(app, config))
    host, port = address.rsplit(":", 1)
    while not serving.done():
        try:
            _, writer = await asyncio.open_connection(host, int(port))
            writer.close()
            break
        except OSError:
            await asyncio.sleep(0.02)
    with open("starting.pid", "w") as file:
        file.write(str(os.getpid()))
    os.rename("starting.pid", "ready.pid")
    await serving


asyncio.run(main())
