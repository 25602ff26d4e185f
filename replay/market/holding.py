"""The portfolio that is written beside daily prices: equal weights, or those of a file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import orjson

from replay.market.price_table import csv_rows, number
from state.errors import Misuse

EQUAL = "equal"


@dataclass(frozen=True, slots=True)
class Holding:
    """The portfolio that is written beside the prices: its name, and weights by symbol."""

    name: str
    weights: dict[str, float]


def read_holding(weights: str, name: str | None, symbols: list[str]) -> Holding:
    """Return the portfolio that ``--weights`` and ``--portfolio`` ask for.

    ``weights`` is ``equal``, which holds all symbols, or a file: JSON ``{"AAPL": 0.5}``, or CSV
    under ``symbol,weight``. The name is that of the weights unless given. Raises Misuse where the
    file cannot be used, or names what is not among ``symbols``.
    """
    if weights == EQUAL:
        return Holding(name or EQUAL, dict.fromkeys(symbols, 1.0 / len(symbols)))
    path = Path(weights)
    found = _json_weights(path) if path.suffix == ".json" else _csv_weights(path)
    if not found:
        raise Misuse(f"{path} holds no weight")
    if unknown := sorted(found.keys() - symbols):
        raise Misuse(f"{path} weights {', '.join(unknown)}, of which there are no prices")
    return Holding(name or path.stem, found)


def _json_weights(path: Path) -> dict[str, float]:
    try:
        found = orjson.loads(path.read_bytes())
    except OSError as error:
        raise Misuse(f"cannot read {path}: {error.strerror}") from error
    except orjson.JSONDecodeError as error:
        raise Misuse(f"{path} is no JSON: {error}") from error
    if not isinstance(found, dict):
        raise Misuse(f"{path} is no JSON object of weights by symbol")
    return {symbol: number(str(weight), f"{path}, {symbol}") for symbol, weight in found.items()}


def _csv_weights(path: Path) -> dict[str, float]:
    weights: dict[str, float] = {}
    rows = csv_rows(path)
    where, header = next(rows, (str(path), []))
    if [cell.strip() for cell in header] != ["symbol", "weight"]:
        raise Misuse(f"{where}: the header must be symbol,weight")
    for where, cells in rows:
        if len(cells) != 2:
            raise Misuse(f"{where} has {len(cells)} cells: a symbol and its weight are needed")
        symbol = cells[0].strip()
        if symbol in weights:
            raise Misuse(f"{where}: {symbol} has a weight already")
        weights[symbol] = number(cells[1], f"{where}, {symbol}")
    return weights
