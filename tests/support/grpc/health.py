"""Calls the standard health service with grpcio: python health.py ADDRESS SESSION.

It prints the status of a unary call, then that of the first message of a stream, or the error of either.
"""

import sys

import grpc

CHECK = "/grpc.health.v1.Health/Check"
WATCH = "/grpc.health.v1.Health/Watch"
# `HealthCheckRequest { service: "app" }`, which needs no generated code.
APP = b"\x0a\x03app"
# `HealthCheckResponse { status }`.
STATUSES = {b"\x08\x01": "SERVING", b"\x08\x02": "NOT_SERVING"}


def call(method):
    try:
        return STATUSES[method(APP, timeout=20, metadata=metadata)]
    except grpc.RpcError as error:
        return f"{error.code().name}: {error.details()}"


address, session = sys.argv[1:]
metadata = [("x-session-id", session)]
# A variable of the environment could name a proxy.
options = [("grpc.enable_http_proxy", 0)]
with grpc.insecure_channel(address, options) as channel:
    print(call(channel.unary_unary(CHECK)))
    print(call(lambda *a, **k: next(channel.unary_stream(WATCH)(*a, **k))))
