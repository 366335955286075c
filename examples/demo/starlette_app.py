"""The demo on Starlette: return a `StreamResponse` from an endpoint."""

from __future__ import annotations

__all__ = ("app",)

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from examples.demo import content
from examples.demo.runs import Runs, database
from streamkit import StreamkitError, as_jsonl, as_sse, as_text
from streamkit.adapters.starlette import StreamResponse, error_response

runs = Runs(database())


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
        Route("/docs", get_docs),
    ],
    lifespan=lambda _: runs.running(),
)
app.add_exception_handler(StreamkitError, error_response)
