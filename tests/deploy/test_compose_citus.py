"""The profile `citus` of docker-compose.yml makes the cluster that docs/how-to/citus.md asks for."""

from __future__ import annotations

import re

import pytest
from tests.support.citus import documented_settings
from tests.support.deploy.compose_file import OURS, SERVICES, TEXT, filled
from tests.support.repository import ROOT
from tests.support.yaml_files import load_yaml

from rollbook_shared.settings import Settings

PAGE = (ROOT / "docs" / "how-to" / "citus.md").read_text()
CLUSTER = ("citus", "citus-node-1", "citus-node-2")
SETUP = SERVICES["citus-setup"]
STATEMENTS = [word.removeprefix("--command=") for word in SETUP["command"] if word.startswith("--command=")]


@pytest.mark.parametrize("name", CLUSTER)
def test_each_server_can_move_schemas_and_prepare_transactions(name: str) -> None:
    program, *options = SERVICES[name]["command"]
    values = dict(option.split("=") for option in options if option != "-c")

    assert program == "postgres"
    assert values["wal_level"] == "logical"
    # each connection may have one that is prepared, and Postgres takes 100 connections
    assert int(values["max_prepared_transactions"]) >= 100
    for setting in values:
        assert f"`{setting}" in PAGE


@pytest.mark.parametrize("name", CLUSTER)
def test_each_server_has_a_volume_of_its_own_where_this_image_keeps_its_data(name: str) -> None:
    assert SERVICES[name]["volumes"] == [f"{name}:/var/lib/postgresql/data"]


def test_servers_log_in_to_each_other_with_the_password_of_postgres() -> None:
    services = filled(load_yaml(TEXT), {"POSTGRES_PASSWORD": "S3cret"})["services"]

    for name in (*CLUSTER, "citus-setup"):
        variables = services[name]["environment"]
        assert variables["POSTGRES_PASSWORD"] == variables["PGPASSWORD"] == "S3cret"
        assert variables["POSTGRES_USER"] == variables["PGUSER"] == "rollbook"
        assert variables["POSTGRES_DB"] == variables["PGDATABASE"] == "rollbook"


def test_the_setup_registers_each_node_at_a_coordinator_that_nodes_reach() -> None:
    assert SETUP["environment"]["PGHOST"] == "citus"
    assert STATEMENTS[0] == "SELECT citus_set_coordinator_host('citus', 5432)"
    nodes = [found[1] for text in STATEMENTS if (found := re.fullmatch(r"SELECT citus_add_node\('(.+)', 5432\)", text))]
    assert {"citus", *nodes} == set(CLUSTER)
    assert SETUP["depends_on"] == {name: {"condition": "service_healthy"} for name in CLUSTER}
    assert "--set=ON_ERROR_STOP=1" in SETUP["command"]


def test_the_setup_gives_the_database_the_settings_of_the_page() -> None:
    found = [re.fullmatch(r"ALTER DATABASE rollbook SET (\S+) = (\S+)", text) for text in STATEMENTS]
    given = {match[1]: match[2] for match in found if match}

    assert given == dict(documented_settings())
    assert int(given["lock_timeout"]) == Settings().lock_timeout.total_seconds() * 1000
    # nodes have them too, so nodes come first
    assert all(text.startswith("ALTER DATABASE") for text in STATEMENTS[3:])


@pytest.mark.parametrize("name", ["migrate", "outbox"])
def test_rollbook_begins_after_the_setup_where_the_profile_is_asked_for(name: str) -> None:
    assert OURS[name]["depends_on"]["citus-setup"] == {
        "condition": "service_completed_successfully",
        "required": False,
    }


def test_one_variable_leads_all_processes_to_the_cluster() -> None:
    services = filled(load_yaml(TEXT), {"POSTGRES_HOST": "citus"})["services"]
    urls = [
        url
        for name in OURS
        for variable, url in services[name]["environment"].items()
        if variable == "ROLLBOOK_DATABASE_URL"
    ]

    assert len(urls) == len(OURS) - 1  # Flower has none
    assert {url.partition("@")[2] for url in urls} == {"citus:5432/rollbook"}
