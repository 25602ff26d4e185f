// REST: the same token, and errors as the server words them (RFC 9457).

const PREFIX = "/api/v1";
const PATIENCE_MS = 10_000;

/**
 * An answer that is not the one asked for; `message` is fit to be shown. `status` is that of HTTP, 0
 * where nothing answers; `unreadable` where an answer came that is no JSON.
 */
export class Refused extends Error {
  constructor(status, message, unreadable = false) {
    super(message);
    this.status = status;
    this.unreadable = unreadable;
  }

  /** The kind of an empty state: what the page knows of why nothing is there. */
  get kind() {
    return this.status === 401 || this.status === 403 ? "forbidden" : this.unreadable ? "unreadable" : "failed";
  }
}

export class Api {
  constructor(token) {
    this.token = token;
  }

  /** Return the JSON at a path below /api/v1; `query` may hold undefined values. */
  get(path, query = {}) {
    const given = Object.entries(query).filter(([, value]) => value !== undefined);
    const text = new URLSearchParams(given).toString();
    return this.request("GET", text ? `${path}?${text}` : path);
  }

  /** Return the records of all pages at a path, of at most `pages` answers. */
  async all(path, query, pages = 10) {
    const found = [];
    let cursor;
    for (let page = 0; page < pages && cursor !== null; page += 1) {
      const { records, next } = await this.get(path, { ...query, cursor });
      found.push(...records);
      cursor = next;
    }
    return found;
  }

  post(path, body = {}) {
    return this.request("POST", path, body);
  }

  async request(method, path, body) {
    const headers = { Accept: "application/json" };
    if (this.token) headers.Authorization = `Bearer ${this.token}`;
    if (body !== undefined) headers["Content-Type"] = "application/json";
    let response;
    try {
      response = await fetch(PREFIX + path, {
        method, headers, body: body === undefined ? undefined : JSON.stringify(body),
        cache: "no-cache", signal: AbortSignal.timeout(PATIENCE_MS),
      });
    } catch {
      throw new Refused(0, "The server does not answer.");
    }
    const answer = await response.json().catch(() => undefined);
    if (!response.ok) {
      throw new Refused(response.status, answer?.detail ?? answer?.title ?? `HTTP ${response.status}`);
    }
    if (answer === undefined) throw new Refused(response.status, "The answer is no JSON.", true);
    return answer;
  }
}
