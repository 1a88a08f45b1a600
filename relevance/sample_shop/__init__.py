"""A seeded, invented shop: catalogue, query log, human-style labels, gold chains of thought.

    crimson flask 24oz     | Hydrel Scarlet 0.7 L Hydration Flask, leak proof    | Good
    office chair no arms   | Homeric Task Seat Black Mesh with Armrests          | Bad

`ShopConfig` says how large and how noisy, `make_shop` generates, `write_shop` writes the files of
`relevance.records`. What is real and what is invented stands in README.md. Teachers and trainers
never import this package.
"""

from relevance.sample_shop.config import ShopConfig
from relevance.sample_shop.shop import Shop, make_shop
from relevance.sample_shop.writing import write_shop

__all__ = ["Shop", "ShopConfig", "make_shop", "write_shop"]
