"""The TLS certificates of peers: P-256, made at every start, signed by an authority that everyone can derive.

The authority's key comes from the genesis hash, which is public: it makes TLS verify and keeps strangers to the chain
out of the handshake, and it is no trust anchor. Who a peer is follows from the signed handshake (`handshake`) alone.
Ed25519 certificates do not work with gRPC, hence ECDSA.
"""

from __future__ import annotations

import datetime
import secrets
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from flockchain.crypto.hashing import hash_tagged
from flockchain.primitives.errors import InvalidInput
from flockchain.primitives.numbers import Hash

__all__ = ["PEER_HOST_NAME", "BadCertificate", "TlsIdentity", "compute_fingerprint", "issue_identity"]

PEER_HOST_NAME: Final = "flockchain.peer"
_NOT_BEFORE: Final = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
_NOT_AFTER: Final = datetime.datetime(2099, 12, 31, tzinfo=datetime.UTC)
_P256_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


class BadCertificate(InvalidInput):
    """What a peer presented is not a certificate."""


@dataclass(frozen=True, slots=True)
class TlsIdentity:
    """One start's key and certificate in PEM, the authority's certificate, and the certificate's fingerprint."""

    private_key: bytes
    certificate: bytes
    authority: bytes
    fingerprint: Hash  # SHA-256 of the certificate's DER


def issue_identity(genesis_hash: Hash) -> TlsIdentity:
    """A fresh key with a certificate of the chain's authority."""
    authority_key = _compute_authority_key(genesis_hash)
    authority = _sign(authority_key.public_key(), "flockchain chain authority", authority_key, is_authority=True)
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = _sign(key.public_key(), PEER_HOST_NAME, authority_key, is_authority=False)
    return TlsIdentity(
        private_key=key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        certificate=certificate.public_bytes(Encoding.PEM),
        authority=authority.public_bytes(Encoding.PEM),
        fingerprint=Hash(sha256(certificate.public_bytes(Encoding.DER)).digest()),
    )


def compute_fingerprint(certificate_pem: bytes) -> Hash:
    """SHA-256 over the DER of a certificate in PEM, as gRPC hands out the other side's."""
    try:
        certificate = x509.load_pem_x509_certificate(certificate_pem)
    except ValueError as error:
        raise BadCertificate("not a certificate", bytes=len(certificate_pem)) from error
    return Hash(sha256(certificate.public_bytes(Encoding.DER)).digest())


def _compute_authority_key(genesis_hash: Hash) -> ec.EllipticCurvePrivateKey:
    scalar = int.from_bytes(hash_tagged("peer tls authority", genesis_hash), "big") % (_P256_ORDER - 1) + 1
    return ec.derive_private_key(scalar, ec.SECP256R1())


def _sign(
    subject_key: ec.EllipticCurvePublicKey, name: str, authority_key: ec.EllipticCurvePrivateKey, *, is_authority: bool
) -> x509.Certificate:
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "flockchain chain authority")])
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(issuer)
        .public_key(subject_key)
        .serial_number(int.from_bytes(secrets.token_bytes(16), "big") | 1)
        .not_valid_before(_NOT_BEFORE)
        .not_valid_after(_NOT_AFTER)
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=0 if is_authority else None), critical=True)
    )
    if is_authority:
        usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
        return builder.add_extension(usage, critical=True).sign(authority_key, hashes.SHA256())
    both_ends = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
    names = x509.SubjectAlternativeName([x509.DNSName(PEER_HOST_NAME)])
    return (
        builder.add_extension(both_ends, critical=False)
        .add_extension(names, critical=False)
        .sign(authority_key, hashes.SHA256())
    )
