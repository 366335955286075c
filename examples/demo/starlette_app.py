"""The demo on Starlette: return a `StreamResponse` from an endpoint."""

from __future__ import annotations

__all__ = ("app",)

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from examples.demo import asking, content
from examples.demo.chats import MESSAGE_REQUIRED, Chats
from examples.demo.runs import Runs, database
from streamkit import StreamkitError, as_jsonl, as_sse, as_text
from streamkit.adapters.starlette import StreamResponse, error_response
from streamkit.sinks.chunk_done import as_chunk_done
from streamkit.sinks.relay import as_relay

file = database()
runs, chats = Runs(file), Chats(file)


async def get_page(_: Request) -> FileResponse:
    return FileResponse(content.PAGE)


async def get_health(_: Request) -> JSONResponse:
    return JSONResponse({"status": "ok", "framework": "starlette"})


async def get_stock_ticker(_: Request) -> StreamResponse:
    return StreamResponse(content.quotes(), as_sse)


async def get_chat(request: Request) -> StreamResponse:
    prompt = request.query_params.get("prompt", "")
    return StreamResponse(content.chat(prompt), as_text)


async def get_chat_events(request: Request) -> StreamResponse:
    prompt = request.query_params.get("prompt", "")
    return StreamResponse(content.chat_with_metadata(content.chat(prompt)), as_sse)


async def get_buffered(_: Request) -> JSONResponse:
    return JSONResponse(await content.slow_items_at_once())


async def get_streamed(_: Request) -> StreamResponse:
    return StreamResponse(content.slow_items(), as_jsonl)


async def post_process(request: Request) -> Response:
    if not content.is_key(request.headers.get("X-API-Key", "")):
        return JSONResponse({"detail": content.NO_KEY}, 401)
    try:
        crawl = content.parse_crawl(await request.body())
    except ValueError as error:
        return JSONResponse({"detail": str(error)}, 400)
    return StreamResponse(content.crawl_output(crawl), as_text)


async def get_long_task(request: Request) -> StreamResponse:
    last_event_id = request.headers.get("Last-Event-ID")
    return StreamResponse(await runs.long_task(last_event_id), as_sse)


async def get_live_logs(_: Request) -> StreamResponse:
    return StreamResponse(runs.live_logs(), as_sse)


async def get_runs_page(_: Request) -> FileResponse:
    return FileResponse(content.RUNS_PAGE)


async def post_generate(request: Request) -> JSONResponse:
    return JSONResponse(await runs.generate(**request.path_params))


async def get_status(request: Request) -> JSONResponse:
    return JSONResponse(await runs.status(**request.path_params))


async def get_logs(request: Request) -> StreamResponse:
    return StreamResponse(await runs.logs(**request.path_params), as_sse)


async def get_final_logs(request: Request) -> JSONResponse:
    return JSONResponse({"logs": await runs.final_logs(**request.path_params)})


async def get_models_page(_: Request) -> FileResponse:
    return FileResponse(asking.MODELS_PAGE)


async def post_stream_chat(request: Request) -> Response:
    try:
        question = asking.parse_question(await request.body())
    except ValueError as error:
        return JSONResponse({"detail": str(error)}, 400)
    return StreamResponse(asking.answer(question), as_chunk_done)


async def get_stream_chat(request: Request) -> Response:
    try:
        question = asking.Question(**{"user_input": "Hello", **request.query_params})
    except (TypeError, ValueError) as error:
        return JSONResponse({"detail": str(error)}, 400)
    return StreamResponse(asking.answer(question), as_chunk_done)


async def get_stream_sse(_: Request) -> StreamResponse:
    return StreamResponse(asking.greeting(), as_chunk_done)


async def post_ask(request: Request) -> JSONResponse:
    try:
        question = asking.parse_question(await request.body())
    except ValueError as error:
        return JSONResponse({"detail": str(error)}, 400)
    return JSONResponse(await asking.ask(question))


async def chat(request: Request) -> Response:
    query = request.query_params
    form = await request.body(), request.headers.get("Content-Type", "")
    if not (message := query.get("message") or asking.form_field(*form, "message")):
        return JSONResponse(MESSAGE_REQUIRED, 400)
    room = query.get("room", "demo")
    return StreamResponse(chats.answer(room, message, request.scope["server"]), as_relay)


async def get_messages(request: Request) -> JSONResponse:
    return JSONResponse(await chats.messages(request.query_params.get("room", "demo")))


async def post_upstream(request: Request) -> StreamResponse:
    question = json.loads(await request.body())["question"]
    return StreamResponse(asking.upstream_answer(question), as_relay)


@asynccontextmanager
async def lifespan(_: Starlette) -> AsyncGenerator[None, None]:
    async with runs.running(), chats.running():
        yield


# Open to all pages, as this is a demo. Elsewhere name yours: allow_origins=["https://example.com"].
cors = Middleware(CORSMiddleware, allow_origins=["*"], allow_methods=["*"], allow_headers=["*"])


async def get_docs(_: Request) -> HTMLResponse:
    return HTMLResponse(content.endpoint_list())


app = Starlette(
    routes=[
        Route("/", get_page),
        Route("/health", get_health),
        Route("/stream/stock-ticker", get_stock_ticker),
        Route("/ai/chat-stream", get_chat),
        Route("/ai/chat-stream-sse", get_chat_events),
        Route("/demo/comparison/buffered", get_buffered),
        Route("/demo/comparison/streamed", get_streamed),
        Route("/process", post_process, methods=["POST"]),
        Route("/process/long-task", get_long_task),
        Route("/stream/live-logs", get_live_logs),
        Route("/runs", get_runs_page),
        Route("/runs/{upload_id}/{service}/generate", post_generate, methods=["POST"]),
        Route("/runs/{upload_id}/{service}/status", get_status),
        Route("/runs/{upload_id}/{service}/logs", get_logs),
        Route("/runs/{upload_id}/{service}/logs/final", get_final_logs),
        Route("/models", get_models_page),
        Route("/api/stream/chat", post_stream_chat, methods=["POST"]),
        Route("/api/stream/chat-get", get_stream_chat),
        Route("/api/stream/sse", get_stream_sse),
        Route("/api/flows/ask", post_ask, methods=["POST"]),
        Route("/api/chat/stream", chat, methods=["GET", "POST"]),
        Route("/api/chat/messages", get_messages),
        Route("/upstream/answers", post_upstream, methods=["POST"]),
        Route("/docs", get_docs),
    ],
    middleware=[cors],
    lifespan=lifespan,
)
app.add_exception_handler(StreamkitError, error_response)
