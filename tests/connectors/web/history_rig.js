// Modules of the page over bars in lists, which stand for what REST answers; put before a test's own lines.
const { Past } = await import("/static/market/past.js");
const { Bars } = await import("/static/market/bars.js");
const ns = (ms) => `${ms}000000`;
const bar = (ms) => ({ id: `A|1s|${ns(ms)}`, symbol: "A", interval: "1s", start_ns: ns(ms), trades: 1 });
const asked = [];
const made = { bars: [], risk: [], corrected_bars: [] };
const within = (output, { from, to, limit }) => {
  const time = output === "risk" ? "ts_ns" : "start_ns";
  const found = made[output].filter((each) => BigInt(each[time]) >= BigInt(from) && BigInt(each[time]) < BigInt(to));
  return { records: found.slice(0, limit), next: found.length > limit ? "more" : null };
};
const api = {
  get: async (path, query) => {
    const output = path.split("/").at(-1);
    asked.push([output, Number(query.from.slice(0, -6)), Number(query.to.slice(0, -6))]);
    if (asked.length > 200) throw new Error("asked without end");
    return within(output, query);
  },
  all: async (path, query) => (await api.get(path, query)).records,
};
const held = new Bars(5000);
const open = (now) => {
  const past = new Past(api, {
    symbol: "A", interval: "1s", lengthMs: 1000, now: () => now, changed: () => {},
    take: ({ bars, corrected }) => { held.add(bars); held.add(corrected); },
    drop: (ms) => held.forgetBefore(ms),
  });
  past.again.end = () => { past.again.ended = true; };
  return past;
};
const quiet = async (past) => {
  while (past.again.running) await new Promise((resolve) => { setTimeout(resolve, 5); });
};
const starts = () => held.records.map((each) => Number(each.start_ns.slice(0, -6)) / 1000);
