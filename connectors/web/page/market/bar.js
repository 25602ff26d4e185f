// The market system's part of the head: `show` of a folder named after the system, which the server finds.

import { Accounts } from "./accounts.js";
import { Switch } from "./switch.js";

/** Show the trading state and the switches; the tabs share the accounts. */
export function show(context) {
  context.accounts = new Accounts(context);
  return new Switch(context, context.accounts);
}
