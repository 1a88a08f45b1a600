"""Python's cyclic garbage collector, told what lives as long as the process.

The modules of a worker are some 170,000 objects. A full collection looks at each of them, with the
interpreter's lock held: 30 to 50 ms in which no request moves. What a request or a snapshot makes
is not touched: it is collected as ever.
"""

import gc


def keep_modules() -> None:
    """Have the collector pass over everything that exists now; once, before anything is opened."""
    gc.collect()
    gc.freeze()
