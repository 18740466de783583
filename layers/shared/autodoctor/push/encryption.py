"""RFC 8291: a message that only the browser can read, not the push service that carries it.

`cryptography` is in PushLayer, not in the shared layer: only the functions that send Web Push import this module.
"""

import os
import struct
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

CURVE: Final = ec.SECP256R1()
MOST_BYTES: Final = 3993
"""Of a message before it is sealed: every push service takes 4,096 bytes sealed (RFC 8291, section 4)."""
_RECORD: Final = 4096
_SALT: Final = 16
_END_OF_RECORDS: Final = b"\x02"


class BadKey(ValueError):
    """A browser's key that is no point of the curve."""


def sealed(message: bytes, public_key: bytes, secret: bytes) -> bytes:
    """Seal a message for one subscription, with a key pair and a salt that are used for nothing else.

    Args:
        message: at most MOST_BYTES.
        public_key: the subscription's `p256dh`, an uncompressed point.
        secret: its `auth`.

    Raises:
        BadKey: the key is no point of P-256.
    """
    return sealed_with(message, public_key, secret, ec.generate_private_key(CURVE), os.urandom(_SALT))


def sealed_with(
    message: bytes, public_key: bytes, secret: bytes, own: ec.EllipticCurvePrivateKey, salt: bytes
) -> bytes:
    """The same with a given key pair and salt: one record of RFC 8188."""
    own_public = point(own.public_key())
    shared = own.exchange(ec.ECDH(), browser_key(public_key))
    key_material = _derived(shared, secret, b"WebPush: info\0" + public_key + own_public, 32)
    key = _derived(key_material, salt, b"Content-Encoding: aes128gcm\0", 16)
    nonce = _derived(key_material, salt, b"Content-Encoding: nonce\0", 12)
    header = salt + struct.pack(">IB", _RECORD, len(own_public)) + own_public
    return header + AESGCM(key).encrypt(nonce, message + _END_OF_RECORDS, None)


def browser_key(public_key: bytes) -> ec.EllipticCurvePublicKey:
    """The key that a browser gave.

    Raises:
        BadKey: it is no point of P-256.
    """
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(CURVE, public_key)
    except ValueError as failure:
        raise BadKey from failure


def point(key: ec.EllipticCurvePublicKey) -> bytes:
    """A public key as an uncompressed point of 65 bytes."""
    return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def _derived(secret: bytes, salt: bytes, info: bytes, length: int) -> bytes:
    return HKDF(SHA256(), length, salt, info).derive(secret)
