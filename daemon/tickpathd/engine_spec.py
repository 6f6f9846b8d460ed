"""From the operator's configuration to the engine's specification: dollars to ticklots, names to ids, seconds to ns.

The same function serves run and replay, so that a journal's configuration rebuilds the very engine that wrote it.
"""
from decimal import Decimal

from tickpath.sim.latency import load_latency
from tickpathd.feeds.fallback import POLL_SUFFIX, fallbacks_of
from tickpathd.feeds.kraken import depth_offered as kraken_depth
from tickpathd.feeds.kraken import l3_depth_offered as kraken_l3_depth

MAX_FRAME_BYTES = 10 << 20        # Coinbase opens a stream with 5 MB
# Above any sum that risk lets pass (see NOTIONAL_MAX in trading/risk.pyx), still inside int64.
TICKLOTS_MAX = 4 * 10 ** 18


def _ticklots(amount, tick_size, lot_size, *, round_up=False):
    """An amount of the quote asset in whole ticklots (one tick x one lot), rounded down unless told."""
    exact = Decimal(str(amount)) / (Decimal(tick_size) * Decimal(lot_size))
    whole = int(exact)
    if round_up and whole != exact:
        whole += 1
    return min(whole, TICKLOTS_MAX)


def _consolidated(config):
    """Instrument numbers that are one symbol at several venues: at most 8 of each, 16 groups, in the order of the config."""
    groups = {}
    for n, item in enumerate(config.instruments):
        groups.setdefault(item.symbol, []).append(n)
    return [numbers[:8] for numbers in groups.values() if len(numbers) > 1][:16]


def _empty_bars_max(config):
    """How many empty bars may follow one another: at most a week of minutes, and all together (two slots and two signals each)
    at most a quarter of the ring, since one input after a long silence may ask for them at once."""
    builders = max(1, len(config.signals.bars)) * max(1, len(config.instruments))
    return max(1, min(10080, config.storage.ring_slots // (16 * builders)))


def _l3(venue, protocol):
    if "l3" not in venue.channels:
        return {}
    return {"l3_orders": venue.l3_orders, "l3_depth": kraken_l3_depth(venue.depth) if protocol == "kraken" else 0}


def engine_spec(config, *, epoch, mode=None, cycles_per_ns=None, started_ns=0):
    """The dict that `tickpath.engine.Engine` is built from.

    Parameters: config : Config.  epoch : int, of the run's client order ids.  mode : overrides the configured mode.
    USD limits are taken as amounts of the quote asset (USDT and the like count as dollars).
    """
    account, instrument_limits = config.limits.account, config.limits.instrument
    ids = {f"{item.venue}:{item.symbol}": n for n, item in enumerate(config.instruments)}
    venue_slots = {name: n for n, name in enumerate(config.venues)}
    protocols = [v.capture_protocol if v.kind.startswith("capture:") else "ccxt" if v.kind.startswith("ccxt:") else v.kind
                 for v in config.venues.values()]
    instruments = []
    for item in config.instruments:
        step = Decimal(item.order_qty_step or item.lot_size) / Decimal(item.lot_size)
        instruments.append({
            "venue": venue_slots[item.venue],
            # Kraken forgets what falls out of the subscribed depth; the others say so.
            "book_max_levels": kraken_depth(config.venues[item.venue].depth)
            if protocols[venue_slots[item.venue]] == "kraken" else 0,
            **_l3(config.venues[item.venue], protocols[venue_slots[item.venue]]),
            **({"price_decimals": item.price_decimals} if item.price_decimals >= 0 else {}),
            **({"qty_decimals": item.qty_decimals} if item.qty_decimals >= 0 else {}),
            "venue_symbol": item.venue_symbol, "tick_size": item.tick_size, "lot_size": item.lot_size,
            "min_notional_ticklots": _ticklots(item.min_notional, item.tick_size, item.lot_size, round_up=True),
            "book_window_ticks": item.book_window_ticks,
            "max_order_qty_lots": min(int(Decimal(instrument_limits.max_order_qty) / Decimal(item.lot_size)), 2 ** 62),
            "max_order_notional_ticklots": _ticklots(account.max_order_size_usd, item.tick_size, item.lot_size),
            "max_position_notional_ticklots": _ticklots(account.max_position_usd, item.tick_size, item.lot_size),
            "qty_step_lots": int(step),
            "price_collar_e2_bps": int(Decimal(str(instrument_limits.price_collar_bps)) * 100),
            "max_open_orders": instrument_limits.max_open_orders,
            "max_spread_bps": instrument_limits.max_spread_bps, "max_jump_bps": instrument_limits.max_jump_bps,
            "jump_hold_ns": instrument_limits.jump_hold_ms * 1_000_000,
            "max_crossed_ns": instrument_limits.max_crossed_ms * 1_000_000,
        })
    return {
        "instance": config.instance.name, "epoch": epoch, "mode": mode or config.instance.mode,
        "seed": config.instance.seed, "stamps": config.latency.stamps, "max_frame_bytes": MAX_FRAME_BYTES,
        "bar_interval_ns": int(Decimal(str(config.signals.bar_interval_s)) * 10 ** 9),
        "bars": list(config.signals.bars), "bar_grace_ns": int(Decimal(str(config.signals.bar_grace_ms)) * 10 ** 6),
        "bar_late_rule": config.signals.bar_late_rule, "empty_bars": config.signals.empty_bars,
        "empty_bars_max": _empty_bars_max(config),
        "imbalance_levels": config.signals.imbalance_levels,
        "ema_fast": config.signals.ema_fast, "ema_slow": config.signals.ema_slow,
        "max_data_age_ns": config.limits.max_data_age_ms * 1_000_000,
        "max_orders_per_min": account.max_order_rate_per_min,
        "venues": protocols, "venue_names": [*config.venues, *(f.name[:24] + POLL_SUFFIX for f in fallbacks_of(config))],
        "fallbacks": [
            {"venue": venue_slots[f.name], "source": int(f.source), "after_ns": f.settings.failover_after_ms * 1_000_000,
             "trading": f.settings.failover_trading} for f in fallbacks_of(config)],
        "consolidated": _consolidated(config),
        "instruments": instruments,
        "strategies": [{"name": s.name, "kind": s.kind, "parameters": dict(s.parameters), "instrument": ids[s.instrument]}
                       for s in config.strategies],
        "cycles_per_ns": cycles_per_ns, "started_ns": started_ns,
    }


def paper_spec(config):
    """The simulated venue's settings in the units that `tickpath.session.Session` takes."""
    paper = config.paper
    return {
        "order_latency_ns": int(paper.order_latency_us * 1000), "reply_latency_ns": int(paper.reply_latency_us * 1000),
        "maker_fee_e8": int(Decimal(str(paper.maker_fee_bps)) * 10_000),
        "taker_fee_e8": int(Decimal(str(paper.taker_fee_bps)) * 10_000),
        "reject_probability": paper.reject_probability, "seed": paper.seed,
        "queue_model": paper.queue_model, "queue_power": paper.queue_power,
        "latency_model": paper.latency_model, "latency_jitter_ns": int(paper.latency_jitter_us * 1000),
        "latency_samples": load_latency(paper.latency_file) if paper.latency_file else None,
        "market_slippage_bps": paper.market_slippage_bps, "impact_bps": paper.impact_bps,
        "impact_half_life_ns": int(paper.impact_half_life_ms * 1_000_000),
    }
