"""The signer: what it signs, what it takes for a key, and that the key stays where it is."""
import base64
import json
import subprocess
import sys

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tickpathd.feeds.credentials import CredentialError
from tickpathd.signer import answer, load_key, logon_parameters


def pem(key):
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


@pytest.fixture(scope="module")
def key():
    return Ed25519PrivateKey.from_private_bytes(bytes(range(32)))


@pytest.fixture
def reference(tmp_path, key):
    path = tmp_path / "binance.json"
    path.touch(mode=0o600)
    path.write_text(json.dumps({"api_key": "someApiKey", "private_key": pem(key)}))
    return f"file:{path}"


def test_parameters_are_signed_in_alphabetical_order(key):
    signed = logon_parameters("someApiKey", key, 1649729878532)
    key.public_key().verify(base64.b64decode(signed.pop("signature")),
                            b"apiKey=someApiKey&recvWindow=5000&timestamp=1649729878532")
    assert signed == {"apiKey": "someApiKey", "recvWindow": 5000, "timestamp": 1649729878532}


def test_key_is_read_from_where_the_reference_points(reference, monkeypatch, tmp_path):
    assert load_key(reference)[0] == "someApiKey"
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert load_key("credential:binance.json")[0] == "someApiKey"
    with pytest.raises(CredentialError, match="found a path"):
        load_key("credential:../binance.json")
    monkeypatch.delenv("CREDENTIALS_DIRECTORY")
    with pytest.raises(CredentialError, match="LoadCredential"):
        load_key("credential:binance.json")


@pytest.mark.parametrize(("content", "words"), [
    ({"api_key": "k"}, "no private_key"),
    ({"api_key": "k", "private_key": "c2VjcmV0"}, "a PEM without password"),
    ({"api_key": "k", "private_key": pem(ec.generate_private_key(ec.SECP256R1()))}, "Ed25519"),
])
def test_another_key_is_refused_without_showing_it(tmp_path, content, words):
    path = tmp_path / "key"
    path.touch(mode=0o600)
    path.write_text(json.dumps(content))
    with pytest.raises(CredentialError, match=words) as found:
        load_key(f"file:{path}")
    assert content.get("private_key", "k" * 99)[:20] not in str(found.value)


def test_key_file_that_others_may_read_is_refused(reference):
    path = reference.removeprefix("file:")
    subprocess.run(["chmod", "640", path], check=True)
    with pytest.raises(CredentialError, match="chmod 600"):
        load_key(reference)


@pytest.mark.parametrize("line", ["", "{", "[]", "7", '{"venue": "other", "timestamp": 1}', '{"venue": "binance"}'])
def test_question_that_makes_no_sense_gets_one_line_back(key, line):
    assert set(answer({"binance": ("k", key)}, line)) == {"error"}


def test_process_answers_on_a_pipe_and_can_be_neither_dumped_nor_read(tmp_path, reference):
    """In a process of its own, as the daemon runs it."""
    script = f"""
import ctypes, json, sys
from tickpathd.signer import undumpable, load_key, answer
undumpable()
print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0), flush=True)          # PR_GET_DUMPABLE
keys = {{"binance": load_key({reference!r})}}
for line in sys.stdin:
    print(json.dumps(answer(keys, line)), flush=True)
"""
    with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline().strip() == "0"
        print('{"venue": "binance", "timestamp": 1}', file=process.stdin, flush=True)
        assert "signature" in json.loads(process.stdout.readline())
        limits = open(f"/proc/{process.pid}/limits").read()
        assert any(line.startswith("Max core file size") and line.split()[4] == "0" for line in limits.splitlines()), limits
        process.stdin.close()
        assert process.wait(10) == 0
