"""Instruments as the venues publish them: facts from REST metadata, names, and a cache that outlives the network.

facts.py the record · binance.py … bybit.py one parser per venue · venues.py which is which · symbols.py names ·
fetch.py HTTPS · cache.py the files · loader.py all of it together · cli.py `tickpath instruments`.
"""
