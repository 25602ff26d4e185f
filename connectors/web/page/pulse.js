// Whether what the page shows is true now: by the socket, and by whether each flow goes on.

const STILL_MS = 5000;
const UNHEARD_MS = 10_000;
const JITTER_MS = 1000;
const CHECK_MS = 500;
const BEHIND_MS = 60_000;

/**
 * A flow goes on while its event time does. Of it tell the workers, where the token may ask them, and the records
 * that come, which a system's tab passes on with `progress`. Event "status" whenever `status` changes:
 * {state, sinceMs, reason} with the states of the feed. `still` are the systems whose flow does not go on; `behindMs`
 * is how far the slowest that does lies behind the clock, 0 where that is little.
 */
export class Pulse extends EventTarget {
  constructor(feed, workers, systems) {
    super();
    this.feed = feed;
    this.workers = workers;
    this.systems = systems;
    this.flows = new Map();
    this.faults = new Map();
    this.names = new Map();
    this.still = new Set();
    this.status = feed.status;
    this.behindMs = 0;
    feed.addEventListener("status", () => this.judge());
    workers.addEventListener("told", () => this.told());
    setInterval(() => this.judge(), CHECK_MS);
  }

  /** A record of a system is of this event time; another is due within `everyMs`. */
  progress(system, eventMs, everyMs) {
    const flow = this.flow(system);
    flow.everyMs = Math.max(everyMs, flow.everyMs ?? 0);
    this.moved(flow, eventMs);
  }

  /** The newest event time that is known of a system, in ms; undefined before the first. */
  eventMs(system) {
    return this.flows.get(system)?.eventMs;
  }

  flow(system) {
    if (!this.flows.has(system)) this.flows.set(system, {});
    return this.flows.get(system);
  }

  moved(flow, eventMs) {
    if (flow.eventMs !== undefined && eventMs <= flow.eventMs) return;
    flow.eventMs = eventMs;
    flow.movedMs = Date.now();
  }

  /** The watermark of a flow is that of its partition that is furthest: another may have nothing to say. */
  told() {
    const { last, atMs } = this.workers;
    this.faults.clear();
    for (const worker of last.workers) {
      if (worker.flow) this.names.set(worker.address, worker.flow);
      const name = this.names.get(worker.address); // of one that does not answer, as it said before
      if (!this.systems().has(name)) continue;
      const delays = (worker.watermark_delay ?? []).map(({ seconds }) => seconds);
      if (worker.error) this.faults.set(name, "does not answer");
      else if (!worker.live) this.faults.set(name, "is stuck");
      else if (worker.waiting?.length) this.faults.set(name, `waits for ${worker.waiting.join(", ")}`);
      else if (delays.length) this.watermark(this.flow(name), atMs - Math.min(...delays) * 1000);
    }
    this.judge();
  }

  /** A delay was measured some time before it is told, so a small step forward says nothing. */
  watermark(flow, eventMs) {
    if (flow.eventMs === undefined || eventMs > flow.eventMs + JITTER_MS) this.moved(flow, eventMs);
  }

  judge() {
    const found = this.found();
    const { status } = this;
    if (found.state === status.state && found.reason === status.reason) return;
    this.status = found;
    this.dispatchEvent(new Event("status"));
  }

  found() {
    const { status } = this.feed;
    this.behindMs = this.behind();
    this.still = new Set(this.known().filter((name) => this.isStill(name)));
    if (status.state !== "live" || this.still.size === 0) return status;
    const since = [...this.still].map((name) => this.flows.get(name)?.movedMs).filter((ms) => ms !== undefined);
    const kept = this.status.state === "stale" ? [this.status.sinceMs] : [];
    const reasons = [...this.still].map((name) => `the flow ${name} ${this.faults.get(name) ?? "has not moved on"}`);
    return { state: "stale", sinceMs: Math.min(...since, ...kept, Date.now()), reason: reasons.join("; ") };
  }

  known() {
    return [...new Set([...this.flows.keys(), ...this.faults.keys()])];
  }

  /** A worker that does not answer while its records come is no fault of the values. */
  isStill(name) {
    const { movedMs, everyMs } = this.flows.get(name) ?? {};
    if (movedMs === undefined) return this.faults.has(name);
    const patience = everyMs === undefined ? UNHEARD_MS : Math.max(STILL_MS, 3 * everyMs);
    // Of a flow that may be quiet for long, its worker tells sooner that it does not go on.
    return Date.now() - movedMs > (this.faults.has(name) ? Math.min(patience, UNHEARD_MS) : patience);
  }

  behind() {
    const moving = this.known().filter((name) => this.eventMs(name) !== undefined && !this.isStill(name));
    const most = this.feed.serverMs() - Math.min(...moving.map((name) => this.eventMs(name)), Infinity);
    return most > BEHIND_MS ? most : 0;
  }
}
