"""Run Flower: `python -m rollbook_worker.dashboard`, with Flower's own options."""

from rollbook_shared.install_hint import exit_without_extra

exit_without_extra("Flower", "dashboard", "flower", "celery")

from rollbook_worker.dashboard.server import main  # noqa: E402

main()
