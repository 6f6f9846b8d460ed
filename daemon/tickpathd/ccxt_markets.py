"""The markets of an exchange as ccxt has them, as JSON on standard output: a process of its own, run once and gone.

    python -m tickpathd.ccxt_markets '{"id": "kraken", "rest_url": "", "ca_file": "", "options": {}, "kinds": ["spot"]}'
"""
import asyncio
import json
import sys

from tickpathd.ccxt_exchange import CcxtError, make_exchange, market_dict

# A symbol of each kind, to load no more than is wanted.
SYMBOLS = {"spot": ("A/B",), "swap": ("A/B:B", "A/B:A"), "future": ("A/B:B-300101", "A/B:A-300101"),
           "option": ("A/B:B-300101-1-C",)}


async def markets(asked):
    """[dict] of all markets of the kinds asked for. Errors: CcxtError, ccxt's own."""
    exchange = make_exchange(asked["id"], rest_url=asked["rest_url"], ca_file=asked["ca_file"], options=asked["options"],
                             symbols=[symbol for kind in asked["kinds"] for symbol in SYMBOLS[kind]])
    try:
        loaded = await exchange.load_markets()
        return [market_dict(exchange, market) for market in loaded.values() if market.get("type") in asked["kinds"]]
    finally:
        await exchange.close()


def main():
    try:
        found = asyncio.run(markets(json.loads(sys.argv[1])))
    except CcxtError as e:
        print(e, file=sys.stderr)
        return 1
    except Exception as e:                                # ccxt's errors have many bases, and its parsers raise what they like
        print(f"expected ccxt to load the markets, found {type(e).__name__}: {' '.join(str(e).split())[:300]}", file=sys.stderr)
        return 1
    json.dump(found, sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
