"""The records of the ledger log, one JSON object a line, and the reader that proves that none is missing or changed.

Amounts are exact decimal texts, of as many places as the asset or the instrument has. Every line bears its number (`n`, from 1
through all files), its time and, last, a CRC-32 that runs on from line to line: a line that is changed, moved or taken away is
found where it stands.

    begin       a file begins: what assets, instruments and accounts there are, which limits the venue has
    asset, instrument, account       one more of them
    opening     what an account holds of an asset when the file begins
    deposit     comes from outside (negative: goes out)
    order       a new order, as it was accepted (in a later file also those that are alive when it begins)
    state       what became of an order: NEW TRIGGERED CANCELED EXPIRED EXPIRED_IN_MATCH …
    trade       one party's part of a trade; the house has no line
    prevented   self-trade prevention took a part of an order
    amend       an order's price or quantity is another
    funding, liquidation, change     futures: paid or received; taken over; a change of the wallet that is neither
    balance     what an account holds now, after all lines above
    closing     what it holds at the end
    end         the log is whole
"""
import zlib
from pathlib import Path

import msgspec

__all__ = ["RECORDS", "LedgerDamage", "LedgerReader", "decode_record", "encode_line"]

FORMAT_VERSION = 1
CRC_HEAD = b',"crc":"'
CRC_BYTES = len(CRC_HEAD) + 8 + 2


class Record(msgspec.Struct, omit_defaults=True, gc=False, tag_field="k", tag=str.lower):
    n: int
    ts: int


class Begin(Record):
    part: int
    format: int
    kind: str
    started: int
    assets: list[tuple[str, int]]                               # name, decimals
    instruments: list[dict[str, str]]                           # symbol kind base quote tick_size lot_size
    accounts: list[dict[str, str | int]]                        # account name
    limits: list[dict[str, str | int]] = []
    rounding: str = "floor"
    crc: str = ""


class Asset(Record):
    asset: str
    decimals: int
    crc: str = ""


class Instrument(Record):
    symbol: str
    kind: str
    base: str
    quote: str
    tick_size: str
    lot_size: str
    crc: str = ""


class Account(Record):
    account: int
    name: str
    crc: str = ""


class Holding(Record):
    account: int
    asset: str
    free: str
    locked: str
    wallet: str = "0"                                           # futures: apart from free and locked
    crc: str = ""


class Opening(Holding):
    pass


class Balance(Holding):
    pass


class Closing(Holding):
    pass


class Deposit(Record):
    account: int
    asset: str
    amount: str
    why: str = ""
    crc: str = ""


class Order(Record):
    order_id: int
    account: int
    symbol: str
    client_order_id: str
    side: str
    type: str
    tif: str
    price: str
    qty: str
    stop_price: str = "0"
    quote_qty: str = "0"                                        # of a market order by quote amount
    iceberg_qty: str = "0"
    reduce_only: bool = False
    cum_qty: str = "0"                                          # of one that is alive when a file begins
    cum_quote: str = "0"
    status: str = ""
    crc: str = ""


class State(Record):
    order_id: int
    account: int
    status: str
    cum_qty: str
    cum_quote: str
    left_qty: str = "0"                                         # that will not trade
    reason: str = ""
    crc: str = ""


class Trade(Record):
    trade_id: int
    order_id: int
    counter_order_id: int                                       # 0: the recorded market
    account: int
    symbol: str
    side: str
    maker: bool
    price: str
    qty: str
    quote: str
    fee: str
    fee_asset: str
    cum_qty: str
    cum_quote: str
    status: str
    pnl: str = "0"                                              # futures: realised by this trade
    position_side: str = ""                                     # futures, in hedge mode
    crc: str = ""


class Prevented(Record):
    order_id: int
    account: int
    qty: str
    status: str
    counter_order_id: int = 0
    crc: str = ""


class Amend(Record):
    order_id: int
    account: int
    price: str
    qty: str
    crc: str = ""


class Funding(Record):
    account: int
    symbol: str
    asset: str
    amount: str
    position: str
    mark: str
    crc: str = ""


class Liquidation(Record):
    account: int
    symbol: str
    side: str
    price: str
    qty: str
    order_id: int = 0                                           # as the venue tells the client of it
    fee: str = "0"
    asset: str = ""
    pnl: str = "0"
    position_side: str = ""
    client_order_id: str = ""
    type: str = "LIQUIDATION"
    tif: str = "IOC"
    quote_qty: str = "0"
    status: str = "FILLED"
    crc: str = ""


class Change(Record):
    account: int
    asset: str
    amount: str
    why: str = ""
    crc: str = ""


class End(Record):
    orders: int
    trades: int
    crc: str = ""


RECORDS = (Begin, Asset, Instrument, Account, Opening, Balance, Closing, Deposit, Order, State, Trade, Prevented, Amend, Funding,
           Liquidation, Change, End)
_encode = msgspec.json.Encoder().encode
decode_record = msgspec.json.Decoder(
    Begin | Asset | Instrument | Account | Opening | Balance | Closing | Deposit | Order | State | Trade | Prevented | Amend
    | Funding | Liquidation | Change | End).decode


def encode_line(record, crc):
    """(bytes of the line, the checksum that the next one goes on from)."""
    body = _encode(record)[:-1]
    crc = zlib.crc32(body, crc)
    return b'%b,"crc":"%08x"}\n' % (body, crc), crc


class LedgerDamage(Exception):
    """A ledger that cannot be read: where, what was expected, what was found."""

    def __init__(self, path, line, expected, found):
        self.path, self.line = path, line
        super().__init__(f"{path}{f' line {line}' if line else ''}: expected {expected}, found {found}")


class LedgerReader:
    """Reads a ledger log, oldest line first.

    After an iteration to the end: `first_number` (more than 1: older files were deleted by the bound), `torn_bytes` (of a last
    line that a crash cut off), `ended` (the log is whole).
    Errors: LedgerDamage, from the constructor and while iterating.
    """

    def __init__(self, directory):
        self.directory = Path(directory)
        self.paths = sorted(self.directory.glob("ledger-*.jsonl"))
        if not self.paths:
            raise LedgerDamage(self.directory, 0, "a ledger log (ledger-000001.jsonl …)", "none")
        self.first_number, self.torn_bytes, self.ended = None, 0, False

    def __iter__(self):
        expected, crc = None, 0
        for position, path in enumerate(self.paths):
            is_last_file = position == len(self.paths) - 1
            try:
                file = open(path, "rb")
            except OSError as e:
                raise LedgerDamage(path, 0, "a readable file", e.strerror) from None
            with file:
                for number, line in enumerate(file, 1):
                    if self.ended:
                        raise LedgerDamage(path, number, "nothing behind the log's end", "a line")
                    if not line.endswith(b"\n"):
                        if not is_last_file:
                            raise LedgerDamage(path, number, "a whole line", f"{len(line)} bytes at the end of the file")
                        self.torn_bytes = len(line)
                        return
                    if number == 1:
                        # Each file can be checked without those before it, which the bound may have deleted.
                        crc = 0
                    crc = zlib.crc32(line[:-CRC_BYTES - 1], crc)
                    tail = CRC_HEAD + b'%08x"}\n' % crc
                    if line[-CRC_BYTES - 1:] != tail:
                        raise LedgerDamage(path, number, f"checksum {crc:08x}", repr(line[-CRC_BYTES - 1:-1].decode("latin-1")))
                    try:
                        record = decode_record(line)
                    except msgspec.MsgspecError as e:
                        raise LedgerDamage(path, number, "a record of the ledger", str(e)) from None
                    if expected is None:
                        self.first_number = expected = record.n
                    if record.n != expected:
                        raise LedgerDamage(path, number, f"record {expected}", f"record {record.n}")
                    if (number == 1) != (type(record) is Begin):
                        raise LedgerDamage(path, number, "`begin` as the first line and nowhere else",
                                           type(record).__name__.lower())
                    expected += 1
                    self.ended = type(record) is End
                    yield record
