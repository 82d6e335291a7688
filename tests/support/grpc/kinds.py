"""Calls of every kind with grpcio: python kinds.py ADDRESS SESSION.

It prints a line of JSON for each: its name, and what came of it. Messages are plain text, which needs no
generated code.
"""

import json
import queue
import sys

import grpc

address, session = sys.argv[1:]
metadata = [("x-session-id", session)]
# A variable of the environment could name a proxy.
options = [("grpc.enable_http_proxy", 0), ("grpc.max_receive_message_length", -1)]


def tell(name, what):
    print(json.dumps({"call": name, **what}), flush=True)


def failed(error):
    trailers = dict(error.trailing_metadata() or ())
    return {
        "code": error.code().name,
        "details": error.details(),
        "reason": trailers.get("x-reason"),
        "ownership": trailers.get("ownership-code"),
    }


def told(name, call):
    try:
        tell(name, call())
    except grpc.RpcError as error:
        tell(name, failed(error))


def answer(messages, call):
    return {
        "messages": messages,
        "code": call.code().name,
        "served": dict(call.initial_metadata()).get("x-served-by"),
    }


with grpc.insecure_channel(address, options) as channel:
    text = {"request_serializer": str.encode, "response_deserializer": bytes.decode}
    unary = channel.unary_unary("/test.Words/Unary", **text)
    gather = channel.stream_unary("/test.Words/Gather", **text)
    scatter = channel.unary_stream("/test.Words/Scatter", **text)
    talk = channel.stream_stream("/test.Words/Talk", **text)

    def one(message, timeout=20, metadata=metadata):
        reply, call = unary.with_call(message, timeout=timeout, metadata=metadata)
        return answer([reply], call)

    def gathered(messages):
        reply, call = gather.with_call(iter(messages), timeout=20, metadata=metadata)
        return answer([reply], call)

    def scattered(message):
        call = scatter(message, timeout=20, metadata=metadata)
        messages = []
        try:
            for reply in call:
                messages.append(reply)
        except grpc.RpcError as error:
            return {"messages": messages, **failed(error)}
        return answer(messages, call)

    def talked(messages):
        """Sends each message only after the answer to the one before it."""
        waiting = queue.SimpleQueue()
        call = talk(iter(waiting.get, None), timeout=20, metadata=metadata)
        replies = []
        for message in messages:
            waiting.put(message)
            replies.append(next(call))
        waiting.put(None)
        replies += list(call)
        return answer(replies, call)

    def cancelled():
        waiting = queue.SimpleQueue()
        call = talk(iter(waiting.get, None), timeout=20, metadata=metadata)
        waiting.put("one")
        next(call)
        call.cancel()
        waiting.put(None)
        return {"code": call.code().name}

    told("unary", lambda: one("a"))
    told("large", lambda: {"length": len(unary("b" * 3_000_000, timeout=20, metadata=metadata))})
    told("unary error", lambda: one("fail"))
    told("deadline", lambda: one("hang", timeout=0.5))
    told("client stream", lambda: gathered(["a", "b", "c"]))
    told("client stream error", lambda: gathered(["a", "fail", "c"]))
    told("server stream", lambda: scattered("a b c"))
    told("server stream error", lambda: scattered("a b fail"))
    told("both streams", lambda: talked(["a", "b", "c"]))
    told("both streams error", lambda: talked(["a", "fail"]))
    told("cancelled", cancelled)
    unknown = [("x-session-id", "00000000-0000-4000-8000-000000000000")]
    told("unknown session", lambda: one("a", metadata=unknown))
