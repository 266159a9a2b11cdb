"""One account at work: followed by private streams and REST, its fills kept, its orders placed where that is on.

``follower`` holds the order of things; ``desk`` holds the accounts.
"""
