// 500 symbols that change 20 times a second each, without a network; `redrawn` says whether it is seen.
async (rounds, redrawn) => {
  const { Feed } = await import("/static/feed.js");
  const { Watch } = await import("/static/market/watch.js");
  const { Watchlist } = await import("/static/market/watchlist.js");
  const SYMBOLS = 500;
  const UPDATES = 5; // of each symbol between two redraws: 20 a second, four redraws
  const name = (at) => `S${String(at).padStart(4, "0")}`;
  const feed = new Feed("ws://nowhere", "");
  const pulse = { progress() {}, eventMs: () => Date.now() };
  const watch = new Watch({ feed, pulse });
  const market = Object.assign(new EventTarget(), { intervals: ["1s"], symbol: name(0), asked: true, error: null, choose() {} });
  const list = new Watchlist(market, watch);
  document.querySelector("main").replaceChildren(list.node);
  watch.follow("1s");
  for (const channel of feed.subscriptions.keys()) feed.take({ type: "subscribed", asked: channel, channel });
  const send = (channel, records) => feed.take(JSON.parse(JSON.stringify({ type: "delta", channel, position: "1:1-1", records })));
  const ns = () => `${Date.now()}000000`;
  const price = () => 100 * (1 + Math.random() / 100);
  const bar = (at, id) => ({ id: `${at} ${id}`, symbol: name(at), interval: "1s", start_ns: ns(), open: 100, high: 102, low: 99, close: price(), volume: 1, trades: 1 });
  const risk = (at, id) => ({ id: `${at} ${id}`, ts_ns: ns(), scope: `symbol:${name(at)}`, method: "ewma-normal", interval: "1s", confidence: 0.99, horizon: 1, var: 0.01, es: 0.012, valid: true });
  const quote = (at, id) => ({ id: `${at} ${id}`, symbol: name(at), ts_ns: ns(), bid: price(), bid_size: 1, ask: price() + 1, ask_size: 1 });
  const all = (make, id) => Array.from({ length: SYMBOLS }, (_, at) => make(at, id));
  list.shown(true);
  watch.removeEventListener("changed", list.changed); // drawn here, as often as is counted
  const [, , change] = list.grid.heads;
  change.querySelector("button").click(); // sorted by what changes all the time
  for (let round = 0; round < rounds; round += 1) {
    if (round % 4 === 0) {
      send("market.bars?interval=1s", all(bar, round));
      send("market.risk?horizon=1&interval=1s", all(risk, round));
    }
    for (let update = 0; update < UPDATES; update += 1) send("market.nbbo", all(quote, `${round} ${update}`));
    if (redrawn) list.draw();
    await new Promise((resolve) => requestAnimationFrame(resolve)); // styles, layout and painting belong to it
  }
  return { rows: document.querySelectorAll("main tbody tr").length, symbols: watch.rows.size };
}
