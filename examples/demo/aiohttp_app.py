"""The demo on aiohttp: return what `await respond(request, source, format)` gives."""

from __future__ import annotations

__all__ = ("app",)

from aiohttp import web

from examples.demo import content
from streamkit import as_jsonl, as_sse, as_text
from streamkit.adapters.aiohttp import error_response, respond

routes = web.RouteTableDef()


@routes.get("/")
async def get_page(_: web.Request) -> web.FileResponse:
    return web.FileResponse(content.PAGE)


@routes.get("/health")
async def get_health(_: web.Request) -> web.Response:
    return web.json_response({"status": "ok", "framework": "aiohttp"})


@routes.get("/stream/stock-ticker")
async def get_stock_ticker(request: web.Request) -> web.StreamResponse:
    return await respond(request, content.quotes(), as_sse)


@routes.get("/ai/chat-stream")
async def get_chat(request: web.Request) -> web.StreamResponse:
    prompt = request.query.get("prompt", "")
    return await respond(request, content.chat(prompt), as_text)


@routes.get("/ai/chat-stream-sse")
async def get_chat_events(request: web.Request) -> web.StreamResponse:
    prompt = request.query.get("prompt", "")
    return await respond(request, content.chat_with_metadata(content.chat(prompt)), as_sse)


@routes.get("/demo/comparison/buffered")
async def get_buffered(_: web.Request) -> web.Response:
    return web.json_response(await content.slow_items_at_once())


@routes.get("/demo/comparison/streamed")
async def get_streamed(request: web.Request) -> web.StreamResponse:
    return await respond(request, content.slow_items(), as_jsonl)


@routes.post("/process")
async def post_process(request: web.Request) -> web.StreamResponse:
    if not content.is_key(request.headers.get("X-API-Key", "")):
        return web.json_response({"detail": content.NO_KEY}, status=401)
    try:
        crawl = content.parse_crawl(await request.read())
    except ValueError as error:
        return web.json_response({"detail": str(error)}, status=400)
    return await respond(request, content.crawl_output(crawl), as_text)


@routes.get("/docs")
async def get_docs(_: web.Request) -> web.Response:
    return web.Response(text=content.endpoint_list(), content_type="text/html")


app = web.Application(middlewares=[error_response])
app.add_routes(routes)
