"""Live market data: connections to venues, what is said on them, and what is done when they fail.

    protocol.py    what a venue wants to hear: URLs, subscriptions, pings; one module a venue
    connection.py  one line to a venue: connect, subscribe, watch, replace, back off
    feeds.py       all lines of a run, and the clock
"""
