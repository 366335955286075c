"""The demo: the same endpoints on FastAPI, Starlette and aiohttp. Run `python -m examples.demo`."""
