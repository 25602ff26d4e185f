// What the workers and servers tell, asked for once for the whole page.

const POLL_MS = 2000;

/**
 * Events: "told" with `last` ({workers, sources}) and `atMs` anew, "failed" with `error`. Where the token lacks
 * the scope nothing is asked until there is another token.
 */
export class Workers extends EventTarget {
  constructor(api, feed) {
    super();
    this.api = api;
    this.feed = feed;
    this.last = null;
    this.atMs = null;
    this.error = null;
    this.timer = null;
    document.addEventListener("visibilitychange", () => document.hidden || this.look());
  }

  /** Ask now, and again every two seconds as long as the page is seen. */
  async look() {
    clearTimeout(this.timer);
    if (document.hidden) return;
    try {
      this.last = await this.api.get("/health");
      this.atMs = this.feed.serverMs();
      this.error = null;
    } catch (error) {
      this.error = error;
    }
    this.dispatchEvent(new Event(this.error ? "failed" : "told"));
    clearTimeout(this.timer);
    if (this.error?.kind !== "forbidden") this.timer = setTimeout(() => this.look(), POLL_MS);
  }
}
