"""The demo on Starlette: return a `StreamResponse` from an endpoint."""

from __future__ import annotations

__all__ = ("app",)

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from examples.demo import content
from streamkit import StreamkitError, as_jsonl, as_sse, as_text
from streamkit.adapters.starlette import StreamResponse, error_response


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
        Route("/docs", get_docs),
    ],
)
app.add_exception_handler(StreamkitError, error_response)
