"""The configuration of Prometheus is valid, and each alert fires in its scenario."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest
from tests.support.deploy.compose_file import OURS, SERVICES
from tests.support.deploy.process_commands import LASTING
from tests.support.repository import ROOT
from tests.support.yaml_files import load_yaml

FOLDER: Final = ROOT / "deploy" / "metrics"
CONFIG: Final[dict[str, Any]] = load_yaml((FOLDER / "prometheus.yml").read_text())
ALERTS: Final = [
    rule["alert"] for group in load_yaml((FOLDER / "alerts.yml").read_text())["groups"] for rule in group["rules"]
]

Series = Mapping[str, str]
MINUTES: Final = 100

WELL: Final[Series] = {
    'rollbook_server_up{server="redis"}': "1",
    'rollbook_server_up{server="postgres"}': "1",
    'rollbook_queue_oldest_seconds{queue="default"}': "1",
    'rollbook_queue_oldest_seconds{queue="bulk"}': "600",
    "rollbook_inflight_oldest_seconds": "5",
    "rollbook_job_retries_total": "7",
    "rollbook_lock_waits_oldest_seconds": "0",
    "rollbook_deferred_overdue_seconds": "1",
    "rollbook_erasures_overdue": "0",
    "rollbook_unknown_recipients_overdue": "0",
    'rollbook_history_months_overdue{task="make"}': "0",
    'rollbook_history_months_overdue{task="drop"}': "0",
    "rollbook_unprocessable_messages": "0",
    "rollbook_outbox_unsent": "0",
    "rollbook_outbox_unsendable_oldest_seconds": "0",
    "rollbook_outbox_oldest_seconds": "60",
    'rollbook_http_requests_total{status="200"}': "+60",
    'rollbook_http_requests_total{status="503"}': "+2",
    'rollbook_http_overload_total{limit="listeners"}': "3",
    "rollbook_http_unrendered_items_total": "3",
    'rollbook_http_request_seconds_bucket{le="5.0"}': "+60",
    'rollbook_http_request_seconds_bucket{le="+Inf"}': "+60",
    'rollbook_deliveries_oldest_due_seconds{channel="mail"}': "1",
    'rollbook_channel_stopped{channel="mail"}': "0",
    'rollbook_channel_paused{channel="mail",instance="a"}': "0",
    'rollbook_channel_paused{channel="mail",instance="b"}': "0",
    'rollbook_delivery_attempts_total{channel="mail",outcome="sent"}': "+60",
    'rollbook_delivery_attempts_total{channel="mail",outcome="failed",reason="x"}': "+2",
}
"""A number is as it stays; `+1` grows by one a minute."""
FIRES: Final[Mapping[str, list[Series]]] = {
    "RollbookServerDown": [{'rollbook_server_up{server="redis"}': "0"}, {'rollbook_server_up{server="postgres"}': "0"}],
    "RollbookMaintenanceMissing": [dict.fromkeys((name for name in WELL if "server_up" in name), "")],
    "RollbookJobsWait": [{'rollbook_queue_oldest_seconds{queue="default"}': "31"}],
    "RollbookImportsWait": [{'rollbook_queue_oldest_seconds{queue="bulk"}': "3601"}],
    "RollbookLeasesNotRenewed": [{"rollbook_inflight_oldest_seconds": "301"}],
    "RollbookJobRetries": [{"rollbook_job_retries_total": "+1"}],
    "RollbookLocksHeld": [
        {'rollbook_transaction_retries_total{reason="timeout"}': "+1"},
        {"rollbook_lock_waits_oldest_seconds": "31"},
    ],
    "RollbookDeferredJobsLate": [{"rollbook_deferred_overdue_seconds": "61"}],
    "RollbookErasuresLate": [{"rollbook_erasures_overdue": "1"}],
    "RollbookUnknownRecipientsLate": [{"rollbook_unknown_recipients_overdue": "1"}],
    "RollbookHistoryMonthsLate": [
        {'rollbook_history_months_overdue{task="make"}': "3"},
        {'rollbook_history_months_overdue{task="drop"}': "1"},
    ],
    "RollbookMaintenanceFails": [{'rollbook_maintenance_failures_total{task="erase deleted users"}': "+1"}],
    "RollbookDeadLetters": [{'rollbook_dead_letters{code="failed"}': "1"}],
    "RollbookManyJobsDie": [{'rollbook_jobs_dead_total{code="invalid"}': "+60"}],
    "RollbookUnprocessableMessages": [{"rollbook_unprocessable_messages": "1"}],
    "RollbookOutboxNotSending": [
        {"rollbook_outbox_unsent": "1", 'rollbook_outbox_jobs_total{event="sent"}': "9"},
        # since this relay began it has sent nothing, so it counts nothing either
        {"rollbook_outbox_unsent": "1"},
    ],
    "RollbookOutboxUnfinished": [{"rollbook_outbox_oldest_seconds": "901"}],
    "RollbookOutboxUnsendable": [{"rollbook_outbox_unsendable_oldest_seconds": "901"}],
    "RollbookHttpErrors": [
        {'rollbook_http_requests_total{status="503"}': "+4"},
        {'rollbook_http_requests_total{status="500"}': "+4"},
    ],
    "RollbookHttpSlow": [
        {
            'rollbook_http_request_seconds_bucket{le="5.0"}': "+50",
            'rollbook_http_request_seconds_bucket{le="10.0"}': "+60",
        }
    ],
    "RollbookFeedItemsWithoutContent": [{"rollbook_http_unrendered_items_total": "+1"}],
    "RollbookHttpOverload": [{'rollbook_http_overload_total{limit="listeners"}': "+1"}],
    "RollbookDeliveriesWait": [
        {'rollbook_deliveries_oldest_due_seconds{channel="mail"}': "301"},
        # of another channel; no process has ever delivered it
        {'rollbook_deliveries_oldest_due_seconds{channel="push"}': "301"},
        # of two maintenance processes one cannot reach the database
        {'rollbook_deliveries_oldest_due_seconds{channel="mail",instance="a"}': "301"},
    ],
    "RollbookChannelStopped": [
        {'rollbook_channel_stopped{channel="mail"}': "1"},
        # of one process: a webhook says 410 to each of them in its turn
        {'rollbook_channel_stopped{channel="mail",instance="b"}': "1"},
    ],
    "RollbookChannelPaused": [
        {
            'rollbook_channel_paused{channel="mail",instance="a"}': "1",
            'rollbook_channel_paused{channel="mail",instance="b"}': "1",
        },
        # of the one process that delivers it
        {'rollbook_channel_paused{channel="push",instance="a"}': "1"},
    ],
    "RollbookDeliveriesFail": [
        {'rollbook_delivery_attempts_total{channel="mail",outcome="failed",reason="x"}': "+70"},
        {'rollbook_delivery_attempts_total{channel="mail",outcome="undeliverable",reason="x"}': "+70"},
        # for several reasons, each of them less than half
        {
            'rollbook_delivery_attempts_total{channel="mail",outcome="failed",reason="x"}': "+40",
            'rollbook_delivery_attempts_total{channel="mail",outcome="undeliverable",reason="template"}': "+40",
        },
        # of another channel, with few attempts beside those of the first
        {'rollbook_delivery_attempts_total{channel="push",outcome="failed",reason="x"}': "+1"},
    ],
    "RollbookRelayFails": [{'rollbook_outbox_failures_total{step="send"}': "+1"}],
}
SILENT: Final[list[Series]] = [
    {},
    {"rollbook_outbox_unsent": "5", 'rollbook_outbox_jobs_total{event="sent"}': "+10"},
    {'rollbook_transaction_retries_total{reason="deadlock"}': "+1"},
    # no application uses the outbox
    dict.fromkeys((name for name in WELL if name.startswith("rollbook_outbox")), ""),
    # one process of two has an outage of its own
    {'rollbook_channel_paused{channel="mail",instance="a"}': "1"},
    # less than half fails, and the process that fails has a twin that does not
    {
        'rollbook_delivery_attempts_total{channel="mail",outcome="failed",reason="x",instance="a"}': "+50",
        'rollbook_delivery_attempts_total{channel="mail",outcome="sent",instance="b"}': "+50",
    },
    # tokens that are gone are no failures of the channel
    {'rollbook_delivery_attempts_total{channel="mail",outcome="token_gone"}': "+600"},
    # a channel that has sent nothing yet
    {'rollbook_delivery_attempts_total{channel="push",outcome="sent"}': "0"},
    # nothing is delivered
    dict.fromkeys((name for name in WELL if "deliver" in name or "channel_" in name), ""),
    # nothing uses the HTTP server
    dict.fromkeys((name for name in WELL if name.startswith("rollbook_http")), ""),
    {'rollbook_http_requests_total{status="404"}': "+60"},
]


@pytest.fixture
def promtool() -> str:
    found = shutil.which("promtool")
    if found is None:
        pytest.skip("promtool is not installed (Debian: apt-get install prometheus)")
    return found


def test_prometheus_accepts_its_configuration_and_rules(promtool: str) -> None:
    for what, file in (("config", "prometheus.yml"), ("rules", "alerts.yml")):
        done = subprocess.run([promtool, "check", what, FOLDER / file], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_each_alert_has_a_scenario() -> None:
    assert sorted(FIRES) == sorted(ALERTS)


def test_each_alert_fires_alone_in_its_scenario(promtool: str, tmp_path: Path) -> None:
    cases = [({alert}, series) for alert, several in FIRES.items() for series in several]

    assert played(promtool, tmp_path, [*cases, *((set(), series) for series in SILENT)]) == ""


def test_an_alert_that_does_not_fire_is_found(promtool: str, tmp_path: Path) -> None:
    assert "RollbookJobsWait" in played(promtool, tmp_path, [({"RollbookJobsWait"}, {})])
    assert "RollbookJobsWait" in played(promtool, tmp_path, [(set(), FIRES["RollbookJobsWait"][0])])


def played(promtool: str, folder: Path, cases: list[tuple[set[str], Series]]) -> str:
    """What is wrong: in each case these series go on for hours, and these alerts fire, each once, and no others."""
    tests = [
        {
            "name": ", ".join(alerts) or "all is well",
            "interval": "1m",
            "input_series": [
                {"series": name, "values": _values(value)} for name, value in {**WELL, **series}.items() if value
            ],
            "promql_expr_test": [
                {
                    "expr": 'count by (alertname) (ALERTS{alertstate="firing"})',
                    "eval_time": f"{MINUTES}m",
                    "exp_samples": [{"labels": f'{{alertname="{alert}"}}', "value": 1} for alert in alerts],
                }
            ],
        }
        for alerts, series in cases
    ]
    file = folder / "play.json"  # JSON is YAML
    file.write_text(json.dumps({"rule_files": [str(FOLDER / "alerts.yml")], "tests": tests}))
    done = subprocess.run([promtool, "test", "rules", file], capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else done.stdout + done.stderr


def _values(value: str) -> str:
    return f"0{value}x{MINUTES}" if value.startswith("+") else f"{value}+0x{MINUTES}"


def test_prometheus_scrapes_every_process_that_serves_metrics() -> None:
    (job,) = CONFIG["scrape_configs"]
    (found,) = job["dns_sd_configs"]

    assert set(found["names"]) == set(LASTING) - {"flower"}
    for name in found["names"]:
        assert OURS[name]["environment"]["ROLLBOOK_METRICS_PORT"] == str(found["port"])
        assert OURS[name]["environment"]["ROLLBOOK_METRICS_ADDRESS"] == "0.0.0.0"


def test_mounted_files_are_where_each_service_reads_them() -> None:
    mounted = {
        name: {
            target: ROOT / source for source, target, *_ in (m.split(":") for m in service["volumes"]) if "/" in source
        }
        for name, service in SERVICES.items()
        if "watch" in service.get("profiles", [])
    }

    # of prometheus.yml its rules, beside it
    (rules,) = CONFIG["rule_files"]
    assert mounted["prometheus"][f"/etc/prometheus/{rules}"].samefile(FOLDER / rules)
    assert "--config.file=/etc/prometheus/prometheus.yml" in SERVICES["prometheus"]["command"]
    assert mounted["prometheus"]["/etc/prometheus/prometheus.yml"].samefile(FOLDER / "prometheus.yml")
    # Grafana reads what is in these two folders, and its dashboards where the second says
    sources, dashboards = (
        load_yaml(mounted["grafana"][f"/etc/grafana/provisioning/{what}/rollbook.yml"].read_text())
        for what in ("datasources", "dashboards")
    )
    (provider,) = dashboards["providers"]
    assert mounted["grafana"][f"{provider['options']['path']}/rollbook.json"].samefile(FOLDER / "dashboard.json")
    (source,) = sources["datasources"]
    (variable,) = json.loads((FOLDER / "dashboard.json").read_text())["templating"]["list"]
    assert source["type"] == variable["query"] == "prometheus"
    host, port = source["url"].removeprefix("http://").split(":")
    assert SERVICES[host]["ports"] == [f"127.0.0.1:{port}:{port}"]
