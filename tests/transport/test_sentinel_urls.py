"""One URL is enough, for workers and for clients."""

from __future__ import annotations

from rollbook_shared.settings import Settings
from rollbook_worker.app import make_app


def test_the_sentinels_are_asked_for_the_master_that_the_url_names() -> None:
    app = make_app(Settings(broker_url="sentinel://a:1/0;sentinel://b:2/0?master_name=main"))

    for connection in (app.connection_for_read(), app.connection_for_write()):
        assert connection.alt == ["sentinel://a:1/0", "sentinel://b:2/0"]
        assert connection.transport_options["master_name"] == "main"
