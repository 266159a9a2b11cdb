"""What only several exchanges together can show: consolidated books, the spread matrix, arbitrage events.

``walk``, ``fees`` and ``legs`` are its arithmetic; ``together`` holds those that are watched.
"""
