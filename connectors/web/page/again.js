// Doing something again, less and less often, until it is done.

const FIRST_WAIT_MS = 5_000;
const LONGEST_WAIT_MS = 60_000;

/** `attempt()` returns whether it is done, and throws nothing. */
export class Again {
  constructor(attempt) {
    Object.assign(this, { attempt, timer: null, running: false, ended: false });
    this.waitMs = FIRST_WAIT_MS;
  }

  /** Attempt now, unless that is under way, and again until it is done: after 5 s, 10 s, up to a minute. */
  async now() {
    clearTimeout(this.timer);
    if (this.running || this.ended) return;
    this.running = true;
    const done = await this.attempt();
    this.running = false;
    if (done || this.ended) return;
    this.timer = setTimeout(() => {
      this.waitMs = Math.min(2 * this.waitMs, LONGEST_WAIT_MS);
      this.now();
    }, this.waitMs);
  }

  /** Begin anew with short waits: there is something else to do. */
  anew() {
    this.waitMs = FIRST_WAIT_MS;
    this.now();
  }

  end() {
    this.ended = true;
    clearTimeout(this.timer);
  }
}
