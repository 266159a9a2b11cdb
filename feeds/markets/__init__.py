"""One exchange's markets at work: connections held, books kept right, states judged, pictures drawn.

``venue`` holds an exchange, ``lane`` one of its connections, ``market`` one of its markets; ``opening`` makes venues,
and ``at_work`` is what the rest sees of them.
"""
