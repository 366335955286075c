"""Ask Google's deprecated package over gRPC, and print what came of it; a process of its own.

gRPC starts threads and opens descriptors for as long as the process lives.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import sys
import warnings
from time import monotonic
from typing import Any

import grpc  # type: ignore[import-untyped]  # it comes without hints

from streamkit import open_source
from streamkit.sources.gemini import stream_gemini

from ._model_server import outcome

METHOD = "google.ai.generativelanguage.v1beta.GenerativeService"

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    generativeai: Any = importlib.import_module("google.generativeai")
    service: Any = importlib.import_module(
        "google.ai.generativelanguage_v1beta.services.generative_service"
    )
    transports: Any = importlib.import_module(
        "google.ai.generativelanguage_v1beta.services.generative_service.transports.grpc_asyncio"
    )
    protos: Any = generativeai.protos


def chunk(text: str, finish: int = 0) -> bytes:
    candidate = {"content": {"role": "model", "parts": [{"text": text}]}, "finish_reason": finish}
    made = protos.GenerateContentResponse({"candidates": [candidate]})
    told: bytes = type(made).serialize(made)
    return told


async def main(scenario: str) -> dict[str, Any]:
    left = asyncio.Event()

    async def answer(_: bytes, context: Any) -> Any:
        try:
            if scenario == "never":
                await asyncio.sleep(60)
            yield chunk("Hel")
            if scenario == "refused":
                await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "no")
            if scenario in ("waits", "silent"):
                await asyncio.sleep(60)
            yield chunk("lo", finish=1)
        finally:
            left.set()

    server = grpc.aio.server()
    handlers = {"StreamGenerateContent": grpc.unary_stream_rpc_method_handler(answer)}
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(METHOD, handlers)])
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    channel = grpc.aio.insecure_channel(f"127.0.0.1:{port}")
    generativeai.configure(api_key="none-is-needed-here")
    model = generativeai.GenerativeModel("m1")
    model._async_client = service.GenerativeServiceAsyncClient(
        transport=transports.GenerativeServiceGrpcAsyncIOTransport(channel=channel)
    )
    source = stream_gemini("Hi", client=model)
    result: dict[str, Any] = {}
    if scenario == "waits":
        async with open_source(source) as items:
            async for event in items:
                if str(event):
                    break
            began = monotonic()
        await asyncio.wait_for(left.wait(), 5)
        result["left_after"] = monotonic() - began
    elif scenario in ("silent", "never"):
        asked = asyncio.ensure_future(outcome(source))
        await asyncio.sleep(0.3)  # until it waits; there is nothing to see of that
        began = monotonic()
        asked.cancel()
        await asyncio.wait([asked])
        await asyncio.wait_for(left.wait(), 5)
        result["left_after"] = monotonic() - began
    else:
        events, failure = await outcome(source)
        result["text"] = "".join(map(str, events))
        result["kinds"] = [type(event).__name__ for event in events]
        result["status"] = failure.error.status if failure else None
    await channel.close()
    await server.stop(None)
    return result


async def all_of(scenarios: list[str]) -> dict[str, dict[str, Any]]:
    return {scenario: await main(scenario) for scenario in scenarios}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asyncio.run(all_of(sys.argv[1:]))))
