"""A certificate authority of our own, and certificates that it signs."""

from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

_DAY = timedelta(days=1)


class Authority:
    """Signs certificates; who trusts `pem` trusts them."""

    def __init__(self, name: str = "Tests") -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _named(name)
        whole = _builder(self._name, self._name, self._key.public_key())
        whole = whole.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        self.pem = whole.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM).decode()

    def certificate(self, host: str) -> tuple[str, str]:
        """Return a certificate for a host name and its private key, both as PEM."""
        key = ec.generate_private_key(ec.SECP256R1())
        signed = _builder(_named(host), self._name, key.public_key())
        signed = signed.add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        certificate = signed.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM)
        return certificate.decode(), key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _DAY)
        .not_valid_after(now + 30 * _DAY)
    )
