"""Why an order is refused: names, each with its number of FIX field 103.

The numbers are those of OrdRejReason (FIX 5.0 SP2, field 103) where it knows the case, else 99,
"other"; -1, which FIX does not have, says that there is no objection.
"""

from __future__ import annotations

from enum import Enum


class Reason(Enum):
    """A name, its FIX number (``code``) and what it says (``meaning``)."""

    NONE = (-1, "no objection")
    MALFORMED = (99, "a field is missing, of another type or out of range")
    UNKNOWN_ACCOUNT = (15, "no more accounts fit; see max_accounts")
    MESSAGE_RATE = (3, "more orders in the last message_window_ns than max_messages")
    DUPLICATE_ORDER = (6, "the account has used this order id")
    ACCOUNT_HALTED = (0, "the account or all trading is HALTED")
    ACCOUNT_REDUCING = (0, "the account or all trading is REDUCING, and this would not reduce")
    UNKNOWN_SYMBOL = (1, "no price of this symbol is known")
    STALE_DATA = (99, "the symbol's market data are older than stale_after_ns")
    SYMBOL_PAUSED = (2, "trading in the symbol is paused")
    MAX_QUANTITY = (3, "quantity above max_quantity")
    MAX_NOTIONAL = (3, "quantity times price above max_notional")
    PRICE_COLLAR = (16, "further than collar_percent from the mark")
    PRICE_BAND = (16, "beyond the symbol's limit up or limit down price")
    POSITION_LIMIT = (3, "with all open orders filled, beyond max_position")
    OPEN_ORDER_LIMIT = (3, "more open orders than max_open_orders")
    UNKNOWN_ORDER = (5, "no such open order: the cancel or fill is taken nevertheless")

    DUPLICATE_FILL = (6, "the account has had this fill id: the position does not move again")

    def __init__(self, code: int, meaning: str) -> None:
        self.code = code
        self.meaning = meaning
