"""The demo on aiohttp: return what `await respond(request, source, format)` gives."""

from __future__ import annotations

__all__ = ("app",)

from collections.abc import AsyncGenerator

from aiohttp import web

from examples.demo import content
from examples.demo.runs import Runs, database
from streamkit import as_jsonl, as_sse, as_text
from streamkit.adapters.aiohttp import error_response, respond

runs = Runs(database())
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


@routes.get("/process/long-task")
async def get_long_task(request: web.Request) -> web.StreamResponse:
    last_event_id = request.headers.get("Last-Event-ID")
    return await respond(request, await runs.long_task(last_event_id), as_sse)


@routes.get("/stream/live-logs")
async def get_live_logs(request: web.Request) -> web.StreamResponse:
    return await respond(request, runs.live_logs(), as_sse)


@routes.get("/runs")
async def get_runs_page(_: web.Request) -> web.FileResponse:
    return web.FileResponse(content.RUNS_PAGE)


@routes.post("/runs/{upload_id}/{service}/generate")
async def post_generate(request: web.Request) -> web.Response:
    return web.json_response(await runs.generate(**request.match_info))


@routes.get("/runs/{upload_id}/{service}/status")
async def get_status(request: web.Request) -> web.Response:
    return web.json_response(await runs.status(**request.match_info))


@routes.get("/runs/{upload_id}/{service}/logs")
async def get_logs(request: web.Request) -> web.StreamResponse:
    return await respond(request, await runs.logs(**request.match_info), as_sse)


@routes.get("/runs/{upload_id}/{service}/logs/final")
async def get_final_logs(request: web.Request) -> web.Response:
    return web.json_response({"logs": await runs.final_logs(**request.match_info)})


@routes.get("/docs")
async def get_docs(_: web.Request) -> web.Response:
    return web.Response(text=content.endpoint_list(), content_type="text/html")


async def run_streams(_: web.Application) -> AsyncGenerator[None, None]:
    async with runs.running():
        yield


app = web.Application(middlewares=[error_response])
app.add_routes(routes)
app.cleanup_ctx.append(run_streams)
