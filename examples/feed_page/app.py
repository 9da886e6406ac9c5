"""A page whose feed follows all changes: the official client in the browser, and tokens from the application's backend.

Make the page's script once. Then run the backend beside `rollbook up`: export the lines that it prints, and name the
private key that it speaks of. Pages of another origin need `ROLLBOOK_CORS_ORIGINS=http://localhost:8000` before it, and
messages of the workflow `reply` show what their template makes with `ROLLBOOK_TEMPLATES=feed_page/templates`.

    npm install @knocklabs/client esbuild
    npx esbuild feed_page/feed.js --bundle --format=esm --outfile=dist/feed.js
    USER_TOKEN_PRIVATE_KEY=user-token-private-key.pem uvicorn --app-dir feed_page app:app
"""

import os
import time
from pathlib import Path

import jwt
from fastapi import FastAPI
from fastapi.responses import FileResponse

PAGE = Path(__file__).with_name("index.html")
SCRIPT = Path(os.environ.get("PAGE_SCRIPT", "dist/feed.js"))
PRIVATE_KEY = Path(os.environ["USER_TOKEN_PRIVATE_KEY"]).read_text()
TOKEN_SECONDS = int(os.environ.get("TOKEN_SECONDS", "600"))

app = FastAPI()


@app.get("/")
def page() -> FileResponse:
    return FileResponse(PAGE)


@app.get("/feed.js")
def script() -> FileResponse:
    return FileResponse(SCRIPT, media_type="text/javascript")


@app.get("/session")
def session() -> dict[str, str]:
    """What the page needs to read the feed of its user."""
    user_id = signed_in_user()
    expires = int(time.time()) + TOKEN_SECONDS
    return {
        "server": os.environ["ROLLBOOK_SERVER_URL"],
        "publicKey": os.environ["ROLLBOOK_PUBLIC_KEY"],
        "userId": user_id,
        "userToken": jwt.encode({"sub": user_id, "exp": expires}, PRIVATE_KEY, algorithm="RS256"),
    }


def signed_in_user() -> str:
    """Stands for your sign-in. Never take the id from the request: who names another user would read its feed."""
    return os.environ.get("SIGNED_IN_USER", "ann")
