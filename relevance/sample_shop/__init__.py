"""A seeded, invented shop: catalogue, query log, human-style labels, gold chains of thought.

    unscented sunscreen | Kelp Lab Sunblocks Unscented 8 oz for Sensitive Skin Daily Care | Good
    green mug           | Blue Fern Xmas Alabaster Mug 12 Fl oz with Handle 6 Pack Ceramic | Bad

`ShopConfig` says how large and how noisy, `make_shop` generates, `write_shop` writes the files of
`relevance.records`. What is real and what is invented stands in README.md. Teachers and trainers
never import this package.
"""

from relevance.sample_shop.config import ShopConfig
from relevance.sample_shop.shop import Shop, make_shop
from relevance.sample_shop.writing import write_shop

__all__ = ["Shop", "ShopConfig", "make_shop", "write_shop"]
