"""A certificate authority of our own and a server certificate for loopback, made by the openssl command line.

Made anew for each run in a directory that goes with it: nothing signed here is of use to anyone else.
"""
import ssl
import subprocess
from pathlib import Path

__all__ = ["TlsError", "make_certificates", "server_context"]

DAYS = "30"


class TlsError(Exception):
    """Certificates could not be made: what was run and what it said."""


def _openssl(*arguments):
    try:
        done = subprocess.run(["openssl", *arguments], capture_output=True, text=True, timeout=60)
    except FileNotFoundError:
        raise TlsError("--tls: expected the openssl command, found none. Run: apt-get install openssl") from None
    if done.returncode:
        raise TlsError(f"openssl {arguments[0]}: expected certificates, found: {done.stderr.strip().splitlines()[-1]}")


def make_certificates(directory):
    """Write ca.pem, server.pem, server.key; returns their paths. The certificate is for localhost and 127.0.0.1."""
    directory = Path(directory)
    ca, ca_key = directory / "ca.pem", directory / "ca.key"
    server, server_key, request = directory / "server.pem", directory / "server.key", directory / "server.csr"
    extensions = directory / "server.ext"
    new_key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    _openssl("req", "-x509", *new_key, "-keyout", str(ca_key), "-out", str(ca), "-days", DAYS, "-subj",
             "/CN=tickpath-sim test CA", "-addext", "basicConstraints=critical,CA:TRUE", "-addext",
             "keyUsage=critical,keyCertSign,cRLSign")
    _openssl("req", *new_key, "-keyout", str(server_key), "-out", str(request), "-subj", "/CN=localhost")
    extensions.write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\nbasicConstraints=CA:FALSE\n"
                          "keyUsage=digitalSignature\nextendedKeyUsage=serverAuth\n")
    _openssl("x509", "-req", "-in", str(request), "-CA", str(ca), "-CAkey", str(ca_key), "-CAcreateserial", "-out", str(server),
             "-days", DAYS, "-extfile", str(extensions))
    for path in (ca_key, server_key):
        path.chmod(0o600)
    return ca, server, server_key


def server_context(server, server_key):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(server, server_key)
    return context
