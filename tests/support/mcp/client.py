"""The official Python client of MCP, led by lines of JSON: a command each on standard input.

It writes one line {"answer": ...} per command, and {"event": ...} for what happens in between. It ends
with its input.
"""

import itertools
import json
import logging
import os
import sys

import anyio
import httpx2
from mcp.client import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client
from mcp.shared.exceptions import MCPError


def write(kind, what):
    print(json.dumps({kind: what}), flush=True)


class Events(logging.Handler):
    """What the SDK says only in its log, such as that it gave a stream up."""

    def emit(self, record):
        write("event", {"log": record.getMessage()})


async def message(received):
    method = getattr(received, "method", None)
    if method is not None:
        params = received.params.model_dump(mode="json") if received.params else {}
        write("event", {"notification": method, "uri": params.get("uri")})


def in_turn(urls):
    """A client of HTTP that sends each request to the next one of these."""
    turns = itertools.cycle(map(httpx2.URL, urls))

    async def turn(request):
        request.url = next(turns)
        request.headers["host"] = request.url.netloc.decode()

    client = create_mcp_http_client()
    client.event_hooks = {"request": [turn]}
    return client


class Clients:
    client = None

    async def connect(self, url, mode="legacy", turns=None):
        to = streamable_http_client(url, http_client=in_turn(turns)) if turns else url
        # It stays entered until `close`, in the same task.
        client = Client(to, mode=mode, message_handler=message, read_timeout_seconds=30)
        await client.__aenter__()
        self.client = client
        return {"protocol": client.session.protocol_version}

    async def tools(self):
        return sorted(tool.name for tool in (await self.client.list_tools()).tools)

    async def call(self, tool, seconds=30, arguments=None):
        result = await self.client.call_tool(tool, arguments, read_timeout_seconds=seconds)
        return result.content[0].text

    async def close(self):
        client, self.client = self.client, None
        await client.__aexit__(None, None, None)


async def main():
    log = logging.getLogger("mcp.client.streamable_http")
    log.setLevel(logging.DEBUG)
    log.propagate = False
    log.addHandler(Events())
    clients = Clients()
    async for line in anyio.wrap_file(sys.stdin):
        command = json.loads(line)
        do = getattr(clients, command.pop("do"))
        try:
            write("answer", {"ok": await do(**command)})
        except MCPError as error:
            write("answer", {"error": str(error.message), "code": error.code})
        except Exception as error:
            write("answer", {"error": repr(error), "code": None})
    # Without a DELETE, as a client that crashes.
    os._exit(0)


anyio.run(main)
