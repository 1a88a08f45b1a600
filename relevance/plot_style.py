"""How every figure of the project looks: its colours, and matplotlib settings for SVG.

Plain values, so that nothing is imported for them. Who draws passes `svg_style(…)` to matplotlib's
`rc_context`: no global state, and the same input gives the same bytes.
"""

INK, MUTED, GRID, PAPER = "#1c2733", "#5a6775", "#d9dee4", "#ffffff"
BLUE, ORANGE, GREEN, VIOLET, GREY = "#1f5fd0", "#b8590b", "#0e7a5f", "#7a3fa8", "#6d7683"
SERIES = (BLUE, ORANGE, GREEN, VIOLET, GREY)  # told apart without red and green
_STYLE: dict[str, object] = {
    "svg.fonttype": "none",  # text stays text
    "font.family": "DejaVu Sans",
    "text.color": INK,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.7,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
}


def svg_style(salt: str, *, font_size: float, paper: str = PAPER) -> dict[str, object]:
    """Settings of one family of figures; `salt` keeps its SVG ids apart and equal in every run.

    `paper` is what figures stand on: a colour, or "none" where a page gives the ground.
    """
    return _STYLE | {
        "svg.hashsalt": salt,
        "font.size": font_size,
        "axes.titlesize": font_size + 1,
        "figure.facecolor": paper,
        "axes.facecolor": paper,
        "savefig.facecolor": paper,
    }
