"""A table, and numbers as people read them."""

from dataclasses import dataclass, field

from ..records import Spread

DASH = "–"


@dataclass
class Table:
    """Cells of text. The first column is left-aligned, the others right."""

    heads: list[str]
    rows: list[list[str]] = field(default_factory=list)

    def add(self, *cells: str):
        self.rows.append(list(cells))

    def markdown(self) -> str:
        lines = [self.heads, ["---", *["---:"] * (len(self.heads) - 1)], *self.rows]
        return "\n".join("| " + " | ".join(line) + " |" for line in lines)

    def plain(self) -> str:
        widths = [max(len(row[at]) for row in [self.heads, *self.rows]) for at in range(len(self.heads))]
        lines = []
        for row in [self.heads, *self.rows]:
            first, *others = [cell.replace("**", "") for cell in row]
            cells = [first.ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True))]
            lines.append("  ".join(cells).rstrip())
        return "\n".join(lines)


def number(value: float | None) -> str:
    """Three digits that count, thousands apart."""
    if value is None:
        return DASH
    if value >= 100:
        return f"{value:,.0f}".replace(",", " ")
    return f"{value:.3g}" if value >= 0.001 else f"{value:.1g}"


def million(value: float | None) -> str:
    return DASH if value is None else f"{value / 1e6:.2f}"


def middle(spread: Spread | None, form=number) -> str:
    return DASH if spread is None else form(spread.middle)


def ranged(spread: Spread | None, form=number) -> str:
    """The median, and between which values it lies."""
    if spread is None:
        return DASH
    if spread.least == spread.most:
        return form(spread.middle)
    return f"{form(spread.middle)} ({form(spread.least)}–{form(spread.most)})"


def ratio(spread: Spread | None) -> str:
    return DASH if spread is None else f"{spread.middle:.2f}"


def ratio_ranged(spread: Spread | None) -> str:
    return ranged(spread, lambda value: f"{value:.2f}")


def count(value: int) -> str:
    return f"{value:,}".replace(",", " ")


def size(value: int) -> str:
    return "1 KiB" if value == 1_024 else f"{value} B"
