"""References to what a venue wants to see: where it is read, and that nothing of it is ever said."""
import pytest

from tickpathd.feeds.credentials import CredentialError, read_credentials

SECRET = "do-not-print-me"


def owned(path, text, mode=0o600):
    path.write_text(text)
    path.chmod(mode)
    return f"file:{path}"


def test_one_text_is_a_token_and_an_object_has_names(tmp_path, monkeypatch):
    assert read_credentials(owned(tmp_path / "a", f"{SECRET}\n"), ("token",)) == {"token": SECRET}
    both = owned(tmp_path / "b", f'{{"key": "k", "secret": "{SECRET}", "more": 1}}')
    assert read_credentials(both, ("key", "secret")) == {"key": "k", "secret": SECRET}
    monkeypatch.setenv("VENUE_TOKEN", SECRET)
    assert read_credentials("env:VENUE_TOKEN", ("token",)) == {"token": SECRET}


def test_file_is_read_anew_each_time(tmp_path):
    reference = owned(tmp_path / "a", "one")
    assert read_credentials(reference, ("token",)) == {"token": "one"}
    (tmp_path / "a").write_text("two")
    assert read_credentials(reference, ("token",)) == {"token": "two"}


@pytest.mark.parametrize("text, mode, expected", [
    (f'{{"token": "{SECRET}"', 0o600, "found broken JSON"), (f'{{"key": "{SECRET}"}}', 0o600, "found no token"),
    ("", 0o600, "found no token"), (f'{{"token": ["{SECRET}"]}}', 0o600, "found no token"), (SECRET, 0o640, "owner alone")])
def test_what_is_wrong_is_said_without_the_content(tmp_path, text, mode, expected):
    with pytest.raises(CredentialError, match=expected) as e:
        read_credentials(owned(tmp_path / "a", text, mode), ("token",))
    assert SECRET not in str(e.value)


@pytest.mark.parametrize("reference", ["", "file:", "env:", "a-token-itself", "file:/nonexistent/x", "env:TICKPATH_NO_SUCH_NAME"])
def test_reference_that_leads_nowhere_is_refused(reference):
    with pytest.raises(CredentialError, match="credentials: expected"):
        read_credentials(reference, ("token",))
