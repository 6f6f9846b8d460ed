"""Recorded answers and events of Binance USD-M futures, and the comparison of ours with them field by field."""
import gzip
import json
import re

NUMBER = re.compile(r"-?\d+(\.\d+)?")
DOCS = "rest/binance/docs_samples_binance_net.jsonl.gz"
RECORDED = "rest/binance/nautilus_samples.jsonl.gz"
MOCK = "rest/binance/gct_http_mock.json.gz"


def samples(path):
    """{file name: decoded JSON} of a file of samples; those that hold no JSON are left out."""
    found = {}
    with gzip.open(path, "rt") as file:
        for line in file:
            row = json.loads(line)
            text = row["text"]
            if "\n= " in text or text.startswith(">"):
                text = text.partition("= ")[2]
            start = min((n for n in (text.find("{"), text.find("[")) if n >= 0), default=-1)
            if start >= 0:
                try:
                    # Requests of the socket samples name their id as |1| in quotes; answers then decode as they are.
                    found[row["file"]] = json.loads(text[start:])
                except ValueError:
                    continue
    return found


def mock(path, route, method="GET"):
    """The recorded answers of a route: [(query string, decoded JSON)]."""
    with gzip.open(path, "rt") as file:
        return [(row["queryString"], row["data"]) for row in json.load(file)["routes"][route][method]]


def form_of(value):
    """What kind of thing a JSON value is: numbers in text are told from words."""
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, str):
        return "number text" if NUMBER.fullmatch(value) else "text"
    if isinstance(value, (int, float)):
        return "number"
    return {list: "list", dict: "object", type(None): "null"}[type(value)]


def differences(sample, ours, *, without=(), words=(), path=""):
    """Fields of the sample that ours lacks, or has in another form: ["$.a.b: expected number text, found number"].

    Parameters: without : fields of the sample that ours need not have.  words : fields that may be any text, or null.
    """
    found = []
    if isinstance(sample, dict) and isinstance(ours, dict):
        for name, value in sample.items():
            where = f"{path}.{name}"
            if name in without:
                continue
            if name not in ours:
                found.append(f"{where}: missing")
            elif name not in words:
                found += differences(value, ours[name], without=without, words=words, path=where)
        return found
    if isinstance(sample, list) and isinstance(ours, list):
        if sample and not ours:
            return [f"{path}: expected elements, found none"]
        for number, value in enumerate(ours):
            like = sample[min(number, len(sample) - 1)] if sample else value
            found += differences(like, value, without=without, words=words, path=f"{path}[{number}]")
        return found
    if form_of(sample) != form_of(ours) and not (form_of(sample) == "text" and form_of(ours) == "number text" and sample == ""):
        found.append(f"{path}: expected {form_of(sample)} like {sample!r}, found {ours!r}")
    return found
