"""What a venue wants to see before it sends order-by-order data. The configuration names where it stands, never the thing itself.

    env:NAME      the environment variable NAME
    file:PATH     a file that only its owner may read
    credential:NAME  what the service manager has put into $CREDENTIALS_DIRECTORY (systemd, LoadCredential=)

Either holds a JSON object of texts, or one text, which is then {"token": text}. It is read anew for each subscription, so that
what expires (Kraken's token) may be replaced by whoever gets it. Nothing of it is ever printed.
"""
import json
import os
import stat

__all__ = ["CredentialError", "read_credentials"]


class CredentialError(ValueError):
    """The reference leads nowhere, or to something else than what is wanted."""


def read_credentials(reference, wanted):
    """{name: text} with every name of `wanted`. Errors: CredentialError: what was expected and where, without the content."""
    text = _text(reference)
    try:
        found = json.loads(text) if text.lstrip().startswith("{") else {"token": text.strip()}
    except ValueError:
        raise CredentialError(f"credentials: expected a JSON object or one text in {reference}, found broken JSON") from None
    if not isinstance(found, dict):
        raise CredentialError(f"credentials: expected a JSON object in {reference}, found another value")
    missing = [name for name in wanted if not isinstance(found.get(name), str) or not found[name]]
    if missing:
        raise CredentialError(f"credentials: expected {', '.join(wanted)} in {reference}, found no {', '.join(missing)}")
    return {name: found[name] for name in wanted}


def _text(reference):
    kind, _, name = reference.partition(":")
    if kind == "env" and name:
        if name not in os.environ:
            raise CredentialError(f"credentials: expected the environment variable {name}, found none")
        return os.environ[name]
    if kind == "credential" and name:
        directory = os.environ.get("CREDENTIALS_DIRECTORY")
        if not directory or "/" in name:
            raise CredentialError(f"credentials: expected the service manager to give {reference} (LoadCredential=), found no "
                                  "CREDENTIALS_DIRECTORY" if not directory else "credentials: expected a name, found a path")
        kind, name = "file", os.path.join(directory, name)
    if kind == "file" and name:
        try:
            with open(name, encoding="utf-8") as file:
                if os.fstat(file.fileno()).st_mode & (stat.S_IRWXG | stat.S_IRWXO):
                    raise CredentialError(f"credentials: expected {name} to be readable by its owner alone (chmod 600)")
                return file.read(1 << 16)
        except (OSError, UnicodeDecodeError) as e:
            raise CredentialError(f"credentials: expected a readable file {name}, found {e}") from None
    # It may be the secret itself that somebody put there.
    raise CredentialError("credentials: expected env:NAME, file:PATH or credential:NAME, found "
                          + ("another text" if reference else "nothing"))
