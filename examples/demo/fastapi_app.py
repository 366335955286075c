"""The demo on FastAPI: return a `StreamResponse` from a path operation."""

from __future__ import annotations

__all__ = ("app",)

from typing import Annotated

from fastapi import Depends, FastAPI, Header, HTTPException
from fastapi.responses import FileResponse
from fastapi.security import APIKeyHeader

from examples.demo import content
from examples.demo.runs import Runs, database
from streamkit import StreamkitError, as_jsonl, as_sse, as_text
from streamkit.adapters.fastapi import StreamResponse, error_response

runs = Runs(database())
app = FastAPI(title="streamkit demo", lifespan=lambda _: runs.running())
app.add_exception_handler(StreamkitError, error_response)

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
