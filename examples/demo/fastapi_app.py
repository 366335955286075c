"""The demo on FastAPI: return a `StreamResponse` from a path operation."""

from __future__ import annotations

__all__ = ("app",)

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import Body, Depends, FastAPI, Header, HTTPException, Query, Request
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import FileResponse, JSONResponse, Response
from fastapi.security import APIKeyHeader

from examples.demo import asking, content
from examples.demo.chats import MESSAGE_REQUIRED, Chats
from examples.demo.runs import Runs, database
from streamkit import StreamkitError, as_jsonl, as_sse, as_text
from streamkit.adapters.fastapi import StreamResponse, error_response
from streamkit.sinks.chunk_done import as_chunk_done
from streamkit.sinks.relay import as_relay

file = database()
runs, chats = Runs(file), Chats(file)


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncGenerator[None, None]:
    async with runs.running(), chats.running():
        yield


app = FastAPI(title="streamkit demo", lifespan=lifespan)
app.add_exception_handler(StreamkitError, error_response)
# Open to all pages, as this is a demo. Elsewhere name yours: allow_origins=["https://example.com"].
app.add_middleware(CORSMiddleware, allow_origins=["*"], allow_methods=["*"], allow_headers=["*"])

api_key = APIKeyHeader(name="X-API-Key", auto_error=False)


async def require_key(key: Annotated[str | None, Depends(api_key)]) -> None:
    if not content.is_key(key or ""):
        raise HTTPException(401, content.NO_KEY)


@app.get("/", include_in_schema=False)
async def get_page() -> FileResponse:
    return FileResponse(content.PAGE)


@app.get("/health")
async def get_health() -> dict[str, str]:
    return {"status": "ok", "framework": "fastapi"}


@app.get("/stream/stock-ticker")
async def get_stock_ticker() -> StreamResponse:
    return StreamResponse(content.quotes(), as_sse)


@app.get("/ai/chat-stream")
async def get_chat(prompt: str = "") -> StreamResponse:
    return StreamResponse(content.chat(prompt), as_text)


@app.get("/ai/chat-stream-sse")
async def get_chat_events(prompt: str = "") -> StreamResponse:
    return StreamResponse(content.chat_with_metadata(content.chat(prompt)), as_sse)


@app.get("/demo/comparison/buffered")
async def get_buffered() -> dict[str, object]:
    return await content.slow_items_at_once()


@app.get("/demo/comparison/streamed")
async def get_streamed() -> StreamResponse:
    return StreamResponse(content.slow_items(), as_jsonl)


@app.post("/process", dependencies=[Depends(require_key)])
async def post_process(crawl: content.Crawl) -> StreamResponse:
    return StreamResponse(content.crawl_output(crawl), as_text)


@app.get("/process/long-task")
async def get_long_task(last_event_id: Annotated[str | None, Header()] = None) -> StreamResponse:
    return StreamResponse(await runs.long_task(last_event_id), as_sse)


@app.get("/stream/live-logs")
async def get_live_logs() -> StreamResponse:
    return StreamResponse(runs.live_logs(), as_sse)


@app.get("/runs")
async def get_runs_page() -> FileResponse:
    return FileResponse(content.RUNS_PAGE)


@app.post("/runs/{upload_id}/{service}/generate")
async def post_generate(upload_id: str, service: str) -> dict[str, str]:
    return await runs.generate(upload_id, service)


@app.get("/runs/{upload_id}/{service}/status")
async def get_status(upload_id: str, service: str) -> dict[str, object]:
    return await runs.status(upload_id, service)


@app.get("/runs/{upload_id}/{service}/logs")
async def get_logs(upload_id: str, service: str) -> StreamResponse:
    return StreamResponse(await runs.logs(upload_id, service), as_sse)


@app.get("/runs/{upload_id}/{service}/logs/final")
async def get_final_logs(upload_id: str, service: str) -> dict[str, object]:
    return {"logs": await runs.final_logs(upload_id, service)}


@app.get("/models")
async def get_models_page() -> FileResponse:
    return FileResponse(asking.MODELS_PAGE)


@app.post("/api/stream/chat")
async def post_stream_chat(question: asking.Question) -> StreamResponse:
    return StreamResponse(asking.answer(question), as_chunk_done)


@app.get("/api/stream/chat-get")
async def get_stream_chat(
    user_input: Annotated[str, Query(min_length=1, max_length=asking.MAX_QUESTION)] = "Hello",
    provider: str = "echo",
) -> StreamResponse:
    question = asking.Question(user_input, provider)
    return StreamResponse(asking.answer(question), as_chunk_done)


@app.get("/api/stream/sse")
async def get_stream_sse() -> StreamResponse:
    return StreamResponse(asking.greeting(), as_chunk_done)


@app.post("/api/flows/ask")
async def post_ask(question: asking.Question) -> dict[str, str]:
    return await asking.ask(question)


@app.get("/api/chat/stream")
@app.post("/api/chat/stream")
async def chat(request: Request, room: str = "demo", message: str = "") -> Response:
    form = await request.body(), request.headers.get("Content-Type", "")
    if not (message := message or asking.form_field(*form, "message")):
        return JSONResponse(MESSAGE_REQUIRED, 400)
    return StreamResponse(chats.answer(room, message, request.scope["server"]), as_relay)


@app.get("/api/chat/messages")
async def get_messages(room: str = "demo") -> dict[str, object]:
    return await chats.messages(room)


@app.post("/upstream/answers")
async def post_upstream(question: Annotated[str, Body(embed=True)]) -> StreamResponse:
    return StreamResponse(asking.upstream_answer(question), as_relay)
