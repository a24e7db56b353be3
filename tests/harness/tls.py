# SPDX-License-Identifier: Apache-2.0
"""A certificate authority made on the fly, for a test's API server and its users. P-256 keys: made in a millisecond."""
import datetime
import ipaddress
import pathlib

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID


def _name(common, organization=None):
    words = [x509.NameAttribute(NameOID.COMMON_NAME, common)]
    if organization:
        words.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization))
    return x509.Name(words)


def _alternative(name):
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _pem(key):
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


class Authority:
    """A CA in a directory: `ca.crt`. `server()` and `client()` write `<name>.crt` and `<name>.key` beside it."""

    def __init__(self, directory, common="nodewall test CA"):
        self.directory = pathlib.Path(directory)
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._subject = _name(common)
        builder = self._builder(self._subject, self._key.public_key(), 3650)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), True).add_extension(x509.KeyUsage(
            True, False, False, False, False, True, True, False, False), True)
        # As Go's CAs have it: so that of two with one name (one was renewed) the right one is found.
        builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()), False)
        self.certificate = self.directory / "ca.crt"
        self.certificate.write_bytes(builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))

    def _builder(self, subject, public, days):
        now = datetime.datetime.now(datetime.timezone.utc)
        return (x509.CertificateBuilder().subject_name(subject).issuer_name(self._subject).public_key(public)
                .serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(hours=1))
                .not_valid_after(now + datetime.timedelta(days=days))
                .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), False))

    def _issue(self, file, subject, usage, names=(), days=365):
        key = ec.generate_private_key(ec.SECP256R1())
        builder = self._builder(subject, key.public_key(), days).add_extension(x509.ExtendedKeyUsage([usage]), False)
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName([_alternative(name) for name in names]), False)
        certificate, private = self.directory / f"{file}.crt", self.directory / f"{file}.key"
        certificate.write_bytes(builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
        private.touch(mode=0o600)
        private.write_bytes(_pem(key))
        return certificate, private

    def server(self, file, names):
        """(certificate, key) for a server with these DNS names and addresses."""
        return self._issue(file, _name("kube-apiserver"), ExtendedKeyUsageOID.SERVER_AUTH, names)

    def client(self, file, user, group=None, days=365):
        """(certificate, key) for a user; Kubernetes takes the common name as user and the organization as group."""
        return self._issue(file, _name(user, group), ExtendedKeyUsageOID.CLIENT_AUTH, days=days)


def service_account_key(path):
    """A key file that kube-apiserver signs and checks service-account tokens with."""
    path = pathlib.Path(path)
    path.touch(mode=0o600)
    key = ec.generate_private_key(ec.SECP256R1())         # "EC PRIVATE KEY": the form whose public half it finds by itself
    path.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()))
    return path
