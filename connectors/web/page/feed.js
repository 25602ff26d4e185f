// The feed's client: one WebSocket, many channels. It reconnects with back-off, resumes each channel
// from the last position it saw, and knows when what it holds is old.

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 15_000;
const CHECK_MS = 500;
const UNAUTHENTICATED = 4001;
const FORBIDDEN = 4003;
const EXPIRED = 4010;
const ASKS = "The feed asks for a token.";

/**
 * Events: "status" whenever `status` changes, "token" (detail: why) where one is needed; then it does
 * not connect until `useToken`.
 * `status` is {state, sinceMs, reason}: "connecting", "live", "stale" (connected, but the values are
 * old since then) or "cut".
 */
export class Feed extends EventTarget {
  constructor(address, token) {
    super();
    this.address = address;
    this.token = token;
    this.subscriptions = new Map();
    this.byName = new Map();
    this.status = { state: "connecting", sinceMs: Date.now(), reason: "" };
    this.clockAheadMs = 0;
    this.heartbeatMs = 5000;
    this.heardMs = Date.now();
    this.failures = 0;
    this.timer = null;
    this.socket = null;
    setInterval(() => this.check(), CHECK_MS);
    addEventListener("online", () => this.retry());
    document.addEventListener("visibilitychange", () => document.hidden || this.retry());
  }

  /** Return the server's time in ms, as far as heartbeats tell. */
  serverMs() {
    return Date.now() + this.clockAheadMs;
  }

  connect() {
    clearTimeout(this.timer);
    this.timer = null;
    this.byName.clear();
    const socket = new WebSocket(this.address, ["headrace.v1.json"]);
    this.socket = socket;
    socket.onopen = () => this.opened();
    socket.onmessage = (event) => socket === this.socket && this.take(JSON.parse(event.data));
    socket.onclose = (event) => socket === this.socket && this.closed(event);
  }

  /** Try at once, where the next attempt is being waited for. */
  retry() {
    if (this.timer !== null) this.connect();
  }

  /** Use another token, on a new connection. */
  useToken(token) {
    this.token = token;
    this.failures = 0;
    const old = this.socket;
    this.connect();
    old?.close();
  }

  /**
   * Follow a channel. `handler` has snapshot(records), delta(records), and may have
   * retracted(records), whose keys leave the table, refused(reason, kind), reset(), where what was
   * told before no longer holds, and trimmed(), where it holds, but records are missing behind it. Return
   * what ends it. Several may follow one channel: when one joins, all get its snapshot.
   */
  subscribe(channel, handler) {
    const followed = this.subscriptions.get(channel);
    const subscription = followed ?? { channel, handlers: new Set(), name: null };
    if (followed) this.send({ type: "unsubscribe", channel: followed.name ?? channel });
    subscription.handlers.add(handler);
    subscription.position = null;
    subscription.parts = [];
    this.subscriptions.set(channel, subscription);
    if (this.socket?.readyState === WebSocket.OPEN) this.ask(subscription);
    return () => {
      subscription.handlers.delete(handler);
      if (subscription.handlers.size > 0) return;
      this.subscriptions.delete(channel);
      if (subscription.name !== null) this.byName.delete(subscription.name);
      this.send({ type: "unsubscribe", channel: subscription.name ?? channel });
    };
  }

  opened() {
    this.heardMs = Date.now();
    if (this.token) this.send({ type: "auth", token: this.token });
    for (const subscription of this.subscriptions.values()) this.ask(subscription);
  }

  ask({ channel, position }) {
    this.send({ type: "subscribe", channel, ...(position ? { after: position } : {}) });
  }

  send(message) {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(message));
  }

  take(message) {
    this.heardMs = Date.now();
    const subscription = this.byName.get(message.channel);
    switch (message.type) {
      case "hello":
        this.heartbeatMs = message.heartbeat_ms;
        break;
      case "heartbeat":
        this.beat(message);
        break;
      case "subscribed":
        this.subscribed(message);
        break;
      case "snapshot":
        if (subscription) this.snapshot(subscription, message);
        this.served();
        break;
      case "delta":
        if (subscription) {
          subscription.position = message.position;
          this.delta(subscription, message.records);
        }
        this.served();
        break;
      case "reset":
        if (subscription) this.reset(subscription, message.reason);
        break;
      case "error":
        this.failed(message);
        break;
      default: // a later version of the protocol may say more
    }
  }

  /** Tell records and retractions apart, in their order: a key may leave and come back. */
  delta({ handlers }, records) {
    for (let start = 0, end; start < records.length; start = end) {
      const gone = Boolean(records[start].retracted);
      for (end = start + 1; end < records.length && Boolean(records[end].retracted) === gone;) end += 1;
      const run = records.slice(start, end);
      for (const handler of handlers) {
        if (gone) handler.retracted?.(run);
        else handler.delta(run);
      }
    }
  }

  subscribed(message) {
    const subscription = this.subscriptions.get(message.asked);
    if (!subscription) return;
    subscription.name = message.channel;
    subscription.parts = [];
    this.byName.set(message.channel, subscription);
  }

  /** We are let in. Values are not called live where a heartbeat has said that they are old. */
  served() {
    this.failures = 0;
    if (this.status.state !== "stale") this.become("live", "");
  }

  /** Where entries were trimmed there is a gap, and what is older than it still holds. */
  reset(subscription, reason) {
    subscription.parts = [];
    for (const handler of subscription.handlers) {
      if (reason === "trimmed") handler.trimmed?.();
      else handler.reset?.();
    }
  }

  snapshot(subscription, message) {
    subscription.parts.push(...message.records);
    if (!message.last) return;
    subscription.position = message.position;
    const records = subscription.parts;
    subscription.parts = [];
    const held = records.filter((record) => !record.retracted);
    for (const handler of subscription.handlers) handler.snapshot(held);
  }

  failed(message) {
    if (message.code === "unauthenticated") {
      this.needsToken(this.token ? message.reason : ASKS);
      return;
    }
    const subscription = this.byName.get(message.channel) ?? this.subscriptions.get(message.channel);
    const kind = message.code === "forbidden" ? "forbidden" : "failed";
    for (const handler of subscription?.handlers ?? []) handler.refused?.(message.reason, kind);
  }

  needsToken(why) {
    this.dispatchEvent(new CustomEvent("token", { detail: why }));
  }

  beat(message) {
    this.clockAheadMs = Number(BigInt(message.ts_ns) / 1_000_000n) - Date.now();
    const lost = Object.entries(message.sources).filter(([, source]) => !source.ok);
    if (lost.length === 0) {
      this.become("live", "");
    } else {
      const ages = lost.map(([, source]) => source.age_ms ?? 0);
      const names = lost.map(([name]) => (name === "redis" ? "Redis" : name)).join(", ");
      this.become("stale", `${names} does not answer the feed`, Date.now() - Math.max(...ages));
    }
  }

  /** Silence for more than two heartbeats is not trusted: the connection may be half open. */
  check() {
    if (this.socket?.readyState !== WebSocket.OPEN) return;
    const silent = Date.now() - this.heardMs;
    if (silent > 2 * this.heartbeatMs + 1000) {
      this.become("stale", "the feed has fallen silent", this.heardMs);
    }
    if (silent > 4 * this.heartbeatMs) {
      const silentOne = this.socket;
      this.closed({ code: 0, reason: "the feed has fallen silent" });
      silentOne.close();
    }
  }

  closed({ code, reason }) {
    this.socket = null;
    this.become("cut", reason || "the connection is lost", this.heardMs);
    if (code === UNAUTHENTICATED || code === EXPIRED) {
      this.needsToken(code === EXPIRED ? "The token has expired." : ASKS);
      return;
    }
    const longest = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** this.failures);
    this.failures = code === FORBIDDEN ? 10 : Math.min(10, this.failures + 1);
    this.timer = setTimeout(() => this.connect(), longest * (0.5 + Math.random() / 2));
  }

  become(state, reason, sinceMs = Date.now()) {
    const before = this.status;
    if (before.state === state && before.reason === reason) return;
    // Old values do not become younger when the reason changes.
    const bad = (name) => name === "stale" || name === "cut";
    const since = bad(before.state) && bad(state) ? Math.min(before.sinceMs, sinceMs) : sinceMs;
    this.status = { state, sinceMs: since, reason };
    this.dispatchEvent(new Event("status"));
  }
}
