"""The clients' accounts: names, keys, opening balances, fees; read from a TOML file, or one account for demonstration.

    [[account]]
    name = "desk"
    api_key = "…"                       # or several [[account.key]] tables with the same three
    secret = "…"                        # HMAC; or public_key = "…": PEM, or the base64 of a raw Ed25519 key
    permissions = ["READ", "TRADE", "USER_STREAM"]
    maker_bps = "10"
    taker_bps = "10"
    fee_asset = "BNB"                   # fees are paid in it, 25 % cheaper, while there is enough of it
    [account.balances]
    USDT = "100000"
"""
import tomllib
from decimal import Decimal, InvalidOperation

from tickpath_sim.trading.auth import KEY_FORMAT, ApiKey, load_public_key

__all__ = ["Account", "AccountError", "Accounts", "DEMO", "read_accounts"]

PERMISSIONS = frozenset({"READ", "TRADE", "USER_STREAM"})
FIELDS = {"name", "api_key", "secret", "public_key", "permissions", "maker_bps", "taker_bps", "fee_asset", "fee_discount",
          "balances", "key"}
KEY_FIELDS = {"api_key", "secret", "public_key", "permissions"}
FIRST_UID = 100_001
DEMO = [{"name": "demo", "api_key": "tickpathSimDemoKey".ljust(64, "0"), "secret": "tickpathSimDemoSecret".ljust(64, "0"),
         "maker_bps": "10", "taker_bps": "10",
         "balances": {"USDT": "1000000", "BTC": "100", "ETH": "1000", "BNB": "1000", "SOL": "10000", "XRP": "1000000"}}]


class AccountError(ValueError):
    """An accounts file that cannot be used: where, what was expected, what was found."""


class Account:
    """One client of the venue.

    number : of the exchange.  open_orders : {order id: Order}, oldest first.  open_clients : {(symbol index, client id): Order}
    of those.  clients : the same of all that are remembered, the latest of a name.
    """
    __slots__ = ("number", "name", "uid", "maker_bps", "taker_bps", "fee_asset", "fee_discount", "keys", "open_orders",
                 "open_clients", "clients", "order_count", "subscriptions", "updated_ns", "can_trade", "extra")

    def __init__(self, number, name, maker_bps, taker_bps, fee_asset, fee_discount, order_count):
        self.number, self.name, self.uid = number, name, FIRST_UID + number
        self.maker_bps, self.taker_bps = Decimal(maker_bps), Decimal(taker_bps)
        self.fee_asset, self.fee_discount = fee_asset, Decimal(fee_discount)
        self.keys = []
        self.open_orders, self.open_clients, self.clients = {}, {}, {}
        self.order_count = order_count
        self.subscriptions = []             # of user data, see user_data.py
        self.updated_ns = 0
        self.can_trade = True
        self.extra = None                   # what a venue of futures keeps of it

    def __repr__(self):
        return f"Account({self.name})"


class Accounts:
    """All accounts, by key, by number and by name."""

    def __init__(self):
        self.by_key, self.by_number, self.by_name = {}, {}, {}

    def __iter__(self):
        return iter(self.by_number.values())

    def add(self, account):
        self.by_number[account.number] = account
        self.by_name[account.name] = account

    def add_key(self, account, row):
        """Parameters: row : {"api_key", "secret" or "public_key", "permissions"}. Errors: AccountError."""
        name = row.get("api_key")
        where = f"account {account.name}"
        if not isinstance(name, str) or KEY_FORMAT.fullmatch(name) is None:
            raise AccountError(f"{where}: expected an api_key of 8 to 128 letters and digits, found {name!r}")
        if name in self.by_key:
            raise AccountError(f"{where}: expected an api_key of its own, found {name!r} again")
        secret, public = row.get("secret"), row.get("public_key")
        if (secret is None) == (public is None) or not isinstance(secret or public, str):
            raise AccountError(f"{where}: expected either secret or public_key, found {'both' if secret else 'neither'}")
        if public is not None:
            try:
                public = load_public_key(public)
            except ValueError as e:
                raise AccountError(f"{where}: expected an Ed25519 or RSA public_key, found what is none: {e}") from None
        permissions = frozenset(row.get("permissions", PERMISSIONS))
        if not permissions <= PERMISSIONS:
            raise AccountError(f"{where}: expected permissions of {sorted(PERMISSIONS)}, found {sorted(permissions)}")
        key = self.by_key[name] = ApiKey(name, account, secret, public, permissions)
        account.keys.append(key)
        return key


def read_accounts(path):
    """The rows of an accounts file, checked. Errors: AccountError, OSError."""
    with open(path, "rb") as file:
        try:
            found = tomllib.load(file)
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as e:
            raise AccountError(f"{path}: expected TOML: {e}") from None
    rows = found.get("account")
    if set(found) - {"account"} or not isinstance(rows, list) or not rows:
        raise AccountError(f"{path}: expected [[account]] tables, found {', '.join(found) or 'nothing'}")
    names = set()
    for number, row in enumerate(rows, 1):
        where = f"{path}: account {row.get('name', number)}"
        unknown = sorted(set(row) - FIELDS) or sorted(name for key in row.get("key", ()) for name in set(key) - KEY_FIELDS)
        if unknown:
            raise AccountError(f"{where}: expected fields of {sorted(FIELDS)}, found {unknown[0]}")
        if not isinstance(row.get("name"), str) or not row["name"] or row["name"] in names:
            raise AccountError(f"{where}: expected a name of its own, found {row.get('name')!r}")
        names.add(row["name"])
        numbers = {**{k: row[k] for k in ("maker_bps", "taker_bps", "fee_discount") if k in row}, **row.get("balances", {})}
        for name, value in numbers.items():
            try:
                if Decimal(str(value)) < 0 and name != "maker_bps" or not Decimal(str(value)).is_finite():
                    raise InvalidOperation
            except InvalidOperation:
                raise AccountError(f"{where}: expected a number for {name}, found {value!r}") from None
    return rows
