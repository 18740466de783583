"""The database has to prove who it is: against a real PostgreSQL with TLS, and what the file of authorities holds."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
from cryptography import x509

from autodoctor.aws.secrets import AUTHORITIES
from localcloud.database.postgres import PostgresServer
from support.database.certificates import Authority
from support.database.tls_postgres import HOST, PROGRAMS, tls_postgres

REGIONS = ("us-east-1", "us-west-2", "eu-central-1", "eu-west-1", "ap-southeast-2", "sa-east-1")


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture(scope="module")
def server(authority: Authority) -> Iterator[PostgresServer]:
    """Run a PostgreSQL with TLS in a folder that its account may enter."""
    if not PROGRAMS.exists():
        pytest.skip("needs a PostgreSQL with TLS: apt-get install postgresql-15")
    folder = Path(tempfile.mkdtemp(prefix="autodoctor-tls-"))
    folder.chmod(0o711)
    with tls_postgres(folder, authority) as server:
        yield server


def connect(server: PostgresServer, authorities: Path, host: str = HOST) -> bool:
    """Connect as functions do; say whether TLS was used."""
    parts = urlsplit(server.database().owner_url)
    url = parts._replace(netloc=parts.netloc.replace("127.0.0.1", host)).geturl()
    with psycopg.connect(f"{url}?sslmode=verify-full&sslrootcert={authorities}") as connection:
        return bool(connection.pgconn.ssl_in_use)


def trusted(authority: Authority, folder: Path) -> Path:
    file = folder / "authority.pem"
    file.write_text(authority.pem, encoding="utf-8")
    return file


def test_a_database_with_a_certificate_of_the_authority_is_believed(
    server: PostgresServer, authority: Authority, tmp_path: Path
) -> None:
    assert connect(server, trusted(authority, tmp_path))


def test_a_database_that_cannot_show_one_gets_no_password(server: PostgresServer) -> None:
    with pytest.raises(psycopg.OperationalError, match="certificate verify failed"):
        connect(server, AUTHORITIES)


def test_a_certificate_for_another_host_is_refused(
    server: PostgresServer, authority: Authority, tmp_path: Path
) -> None:
    with pytest.raises(psycopg.OperationalError, match="does not match host name"):
        connect(server, trusted(authority, tmp_path), host="127.0.0.1")


@pytest.mark.filterwarnings("ignore:Parsed a serial number")  # one of Amazon's is not positive
def test_the_file_holds_the_roots_of_rds_in_every_region_and_those_of_its_proxy() -> None:
    found = x509.load_pem_x509_certificates(AUTHORITIES.read_bytes())
    assert len({each.serial_number for each in found}) == len(found)
    names = []
    for each in found:
        assert each.subject == each.issuer
        each.verify_directly_issued_by(each)
        assert each.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
        assert each.not_valid_after_utc.year >= 2037
        names += [str(part.value) for part in each.subject if part.oid == x509.NameOID.COMMON_NAME]
    for region in REGIONS:
        for kind in ("RSA2048", "RSA4096", "ECC384"):
            assert f"Amazon RDS {region} Root CA {kind} G1" in names
    assert {f"Amazon Root CA {number}" for number in range(1, 5)} <= set(names)
