"""HTTP and JSON alone: a route that reads a `/score` body and writes a reply of its size.

    uvicorn --factory service.benchmark.bare:create_app

It answers with fixed scores, without looking at them: what remains is the framework and the bytes.
"""

import orjson
from fastapi import FastAPI, Request, Response


def create_app() -> FastAPI:
    """The application; `POST /score` and `GET /readyz`."""
    app = FastAPI()

    @app.get("/readyz")
    async def ready() -> dict[str, bool]:
        return {"ready": True}

    @app.post("/score", response_model=None)
    async def score(request: Request) -> Response:
        asked = orjson.loads(await request.body())
        rows = [
            {
                "id": item_id,
                "index": index,
                "score": 0.123456789012345,
                "label": "Good",
                "status": "ok",
                "truncated": False,
            }
            for index, item_id in enumerate(asked["item_ids"])
        ]
        reply = {"results": rows, "query_truncated": False, "bundle": "0" * 16}
        return Response(orjson.dumps(reply), media_type="application/json")

    return app
