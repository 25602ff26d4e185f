// The market system: `open` of a folder named after the system, which the server finds by its path.

import { Market } from "./market.js";
import { OrdersPanel } from "./orders.js";
import { MarketPanel } from "./panel.js";
import { RiskPanel } from "./risk.js";

/** Return the tabs. */
export function open(context) {
  const market = new Market(context);
  return [
    { id: "market", title: "Market", panel: new MarketPanel(context, market) },
    { id: "market-risk", title: "Risk", panel: new RiskPanel(context, market) },
    { id: "market-orders", title: "Orders", panel: new OrdersPanel(context, context.accounts) },
  ];
}
