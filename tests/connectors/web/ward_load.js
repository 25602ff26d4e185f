// 2,000 beds in 50 wards, of which 50 change each second, without a network: what a redraw takes.
async (rounds) => {
  const BEDS = 2000;
  const CHANGES = 13; // between two redraws, of which there are four a second
  const make = async () => {
    const { Feed } = await import("/static/feed.js");
    const { Care } = await import("/static/adt/care.js");
    const { WardsPanel } = await import("/static/adt/wards.js");
    const feed = new Feed("ws://nowhere", "");
    const care = new Care({ feed, pulse: { progress() {} } });
    care.tell = () => {}; // drawn here, as often as is counted
    const panel = new WardsPanel({ flags: { set() {} } }, care, "", () => {});
    document.querySelector("main").replaceChildren(panel.node);
    for (const channel of feed.subscriptions.keys()) feed.take({ type: "subscribed", asked: channel, channel });
    panel.shown(true);
    return { feed, care, visits: 0, round: 0 };
  };
  const rig = (window.rig ??= await make());
  const { feed, care } = rig;
  const encounters = [...feed.subscriptions.keys()].find((name) => name.startsWith("adt.encounters"));
  const place = (at) => `W${Math.floor(at / 40)}^R${Math.floor((at % 40) / 2)}^${(at % 2) + 1}`;
  const now = () => new Date().toISOString();
  const rest = (visit) => ({ visit: `V${visit}^^^GH`, patient: `P${visit}^^^GH`, domain: "GH", ts_ns: `${Date.now()}000000`, version: 1, because: ["adt.raw:0:1"] });
  const bed = (at, visit) => ({ ...rest(visit), id: `b${at} ${visit}`, location: place(at), status: null, since: now(), message: "adt.raw:0:1" });
  const stay = (at, visit, end) => ({ ...rest(visit), id: `v${visit} ${end}`, stays: [{ location: place(at), class: "I", start: now(), end, inferred: false }] });
  const stand = (visit, status) => ({ ...rest(visit), id: `e${visit} ${status}`, status, class: "I", admitted: now(), discharged: null, disposition: null });
  const send = (type, channel, records) => feed.take(JSON.parse(JSON.stringify({ type, channel, position: "1:1-1", last: true, records })));
  const told = (type, places) => {
    const visits = places.map((at) => [at, (rig.visits += 1)]);
    send(type, "adt.location_visits", visits.map(([at, visit]) => stay(at, visit, null)));
    send(type, encounters, visits.map(([, visit]) => stand(visit, "in-progress")));
    send(type, "adt.beds", visits.map(([at, visit]) => bed(at, visit)));
  };
  if (rig.round === 0) {
    told("snapshot", Array.from({ length: BEDS }, (_, at) => at));
    send("snapshot", "adt.anomalies", []);
  }
  const taken = [];
  for (let round = 0; round < rounds; round += 1) {
    // Who was there leaves, and somebody new comes: the lists have to forget.
    const places = Array.from({ length: CHANGES }, (_, at) => (rig.round * CHANGES + at * 151) % BEDS);
    const left = places.map((at) => care.beds.get({ location: place(at), domain: "GH" })).filter(Boolean);
    send("delta", encounters, left.map(({ visit, patient }) => ({ ...stand(0, "finished"), visit, patient })));
    told("delta", places);
    rig.round += 1;
    const began = performance.now();
    care.flush();
    document.body.offsetHeight; // styles and layout belong to it
    taken.push(performance.now() - began);
    await new Promise((resolve) => requestAnimationFrame(resolve));
  }
  taken.sort((a, b) => a - b);
  return {
    cells: document.querySelectorAll(".bed").length, taken: document.querySelectorAll('.bed[data-state="taken"]').length,
    changes: care.changes.length, visits: care.visits.byKey.size, encounters: care.encounters.byKey.size,
    median_ms: taken[Math.floor(taken.length / 2)], most_ms: taken.at(-1),
  };
}
