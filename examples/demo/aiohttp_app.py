"""The demo on aiohttp: return what `await respond(request, source, format)` gives."""

from __future__ import annotations

__all__ = ("app",)

from collections.abc import AsyncGenerator, Awaitable, Callable

from aiohttp import web

from examples.demo import asking, content
from examples.demo.chats import MESSAGE_REQUIRED, Chats
from examples.demo.runs import Runs, database
from streamkit import as_jsonl, as_sse, as_text
from streamkit.adapters.aiohttp import error_response, respond
from streamkit.sinks.chunk_done import as_chunk_done
from streamkit.sinks.relay import as_relay

file = database()
runs, chats = Runs(file), Chats(file)
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


@routes.get("/models")
async def get_models_page(_: web.Request) -> web.FileResponse:
    return web.FileResponse(asking.MODELS_PAGE)


@routes.post("/api/stream/chat")
async def post_stream_chat(request: web.Request) -> web.StreamResponse:
    try:
        question = asking.parse_question(await request.read())
    except ValueError as error:
        return web.json_response({"detail": str(error)}, status=400)
    return await respond(request, asking.answer(question), as_chunk_done)


@routes.get("/api/stream/chat-get")
async def get_stream_chat(request: web.Request) -> web.StreamResponse:
    try:
        question = asking.Question(**{"user_input": "Hello", **request.query})
    except (TypeError, ValueError) as error:
        return web.json_response({"detail": str(error)}, status=400)
    return await respond(request, asking.answer(question), as_chunk_done)


@routes.get("/api/stream/sse")
async def get_stream_sse(request: web.Request) -> web.StreamResponse:
    return await respond(request, asking.greeting(), as_chunk_done)


@routes.post("/api/flows/ask")
async def post_ask(request: web.Request) -> web.Response:
    try:
        question = asking.parse_question(await request.read())
    except ValueError as error:
        return web.json_response({"detail": str(error)}, status=400)
    return web.json_response(await asking.ask(question))


@routes.get("/api/chat/stream")
@routes.post("/api/chat/stream")
async def chat(request: web.Request) -> web.StreamResponse:
    form = await request.read(), request.headers.get("Content-Type", "")
    if not (message := request.query.get("message") or asking.form_field(*form, "message")):
        return web.json_response(MESSAGE_REQUIRED, status=400)
    assert request.transport  # noqa: S101 - the client is there
    room, server = request.query.get("room", "demo"), request.transport.get_extra_info("sockname")
    return await respond(request, chats.answer(room, message, server), as_relay)


@routes.get("/api/chat/messages")
async def get_messages(request: web.Request) -> web.Response:
    return web.json_response(await chats.messages(request.query.get("room", "demo")))


@routes.post("/upstream/answers")
async def post_upstream(request: web.Request) -> web.StreamResponse:
    question = (await request.json())["question"]
    return await respond(request, asking.upstream_answer(question), as_relay)


@routes.get("/docs")
async def get_docs(_: web.Request) -> web.Response:
    return web.Response(text=content.endpoint_list(), content_type="text/html")


async def run_streams(_: web.Application) -> AsyncGenerator[None, None]:
    async with runs.running(), chats.running():
        yield


# Open to all pages, as this is a demo. Elsewhere name yours instead of the star.
CORS = {"Access-Control-Allow-Origin": "*"}
PREFLIGHT = CORS | {"Access-Control-Allow-Methods": "*", "Access-Control-Allow-Headers": "*"}


@web.middleware
async def cors(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    if request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers:
        return web.Response(headers=PREFLIGHT)
    return await handler(request)


async def add_cors(_: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(CORS)  # before they are sent, and a stream sends them early


app = web.Application(middlewares=[cors, error_response])
app.add_routes(routes)
app.cleanup_ctx.append(run_streams)
app.on_response_prepare.append(add_cors)
