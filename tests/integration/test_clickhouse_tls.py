"""ClickHouse behind TLS: what a private authority has signed is trusted where that is configured, and nothing else is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.doctor.checks import check_clickhouse
from schemas.config.loading import load_settings
from schemas.errors import ConfigurationError
from sinks.clickhouse import Address, UnavailableError, connect
from sinks.migrations import pending_migrations
from tests.support.certificates import Authority
from tests.support.tls_proxy import behind_tls

USER = "acme:hunter22-secret"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def served(clickhouse: str) -> int:
    return Address.parse(clickhouse).port


@pytest.fixture(scope="module")
def port(served: int, authority: Authority) -> Iterator[int]:
    with behind_tls(served, authority.sign("clickhouse", "DNS:localhost,IP:127.0.0.1")) as port:
        yield port


def test_rows_are_written_and_read_by_tls_under_a_private_authority(port, authority, database):
    plain = Address.parse(database)
    user = f"{plain.user}:{plain.password}"
    address = Address.parse(f"https://{user}@localhost:{port}/{plain.database}?ca_file={authority.file}")
    assert str(address) == f"https://localhost:{port}/{plain.database}"
    assert pending_migrations(address) == []
    with connect(address) as client:
        client.insert("dead_letter_rows", [["x", "not_json"]], column_names=["topic", "reason"])
        assert client.query("SELECT count() FROM dead_letters").result_rows == [(1,)]


def test_a_later_generation_trusts_the_same(port, authority):
    settings = load_settings(
        clickhouse=f"https://{USER}@localhost:{port}/behind?ca_file={authority.file}", generation=2
    )
    address = Address.parse(settings.clickhouse_address)
    assert (address.database, address.ca_file) == ("behind_g2", str(authority.file))


@pytest.mark.parametrize(
    ("host", "trust", "message"),
    [
        ("localhost", "", r"certificate.*private one: put \?ca_file=/path/of/authority.pem behind the database in FIRSTCALL_CLICKHOUSE"),
        ("localhost", "?ca_file={other}", r"certificate.*other.pem has another authority: put \?ca_file="),
        ("localhost", "?ca_file=/no/ca.pem", r"/no/ca.pem cannot be read: No such file"),
    ],
)  # fmt: skip
def test_an_untrusted_certificate_is_reported_with_what_to_do(host, trust, message, port, authority, tmp_path):
    other = Authority(tmp_path, "other").file
    url = f"https://{USER}@{host}:{port}/behind{trust.format(other=other)}"
    with pytest.raises(UnavailableError, match=message) as refused:
        connect(Address.parse(url))
    finding = next(check_clickhouse(load_settings(clickhouse=url, data_dir=tmp_path)))
    assert (finding.verdict, finding.detail) == ("wrong", str(refused.value))
    assert f"https://{host}:{port}/behind" in finding.detail
    assert "hunter22" not in repr(finding) + repr(refused.value.args)


def test_another_host_s_certificate_is_refused(served, authority):
    with behind_tls(served, authority.sign("elsewhere", "DNS:clickhouse.example.com")) as port:
        url = f"https://{USER}@localhost:{port}/behind?ca_file={authority.file}"
        with pytest.raises(
            UnavailableError, match=r"mismatch.*; name the server in FIRSTCALL_CLICKHOUSE as its certificate does"
        ):
            connect(Address.parse(url))


def test_plain_text_to_a_port_of_tls_is_an_error_not_a_wait(port):
    with pytest.raises(Exception, match="ClickHouse at http://localhost"):
        connect(Address.parse(f"http://{USER}@localhost:{port}/behind"))


@pytest.mark.parametrize("behind", ["?ca_file=/a.pem", "?verify=0", "?ca_file=/a&password=x"])
def test_nothing_else_stands_behind_the_address(behind, tmp_path: Path):
    scheme = "http" if behind == "?ca_file=/a.pem" else "https"
    with pytest.raises(ConfigurationError, match="more than a database"):
        load_settings(clickhouse=f"{scheme}://{USER}@host/db{behind}")
    with pytest.raises(ValueError, match="more than a database"):
        Address.parse(f"{scheme}://{USER}@host/db{behind}")
