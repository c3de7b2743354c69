/**
 * Sends what is queued: in batches, one after another, until each is answered.
 *
 * Nothing is sent again after an answer that will stay the same. The body holds the write key and
 * its type is that of plain text, so that browsers send it without asking first.
 */

import { bytes, Queue, Queued } from './queue';
import { Settings } from './settings';

/** What a browser takes on its way when a page closes, in bytes, of all requests together. */
const KEEPALIVE = 60_000;
/** A batch that is not sent in haste. */
const BATCH = 250_000;
const MOST = 100;
const MOST_LEAVING = 500;
/** What stands around the events of a body at most: the key and the time. */
const HEAD = 600;
const LONGEST_WAIT = 60_000;
const LONGEST_ASKED = 300_000;
const PATIENCE = 30_000;

export class Sender {
  private busy: Queued[] = [];
  private most = MOST;
  private failures = 0;
  private notBefore = 0;
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly settings: Settings,
    private readonly queue: Queue,
    /** Whether the visitor allows it. */
    private readonly allowed: () => boolean,
  ) {}

  /** Sends now or after the interval. */
  soon(): void {
    if (this.queue.length >= this.settings.batchSize) this.flush();
    else this.after(this.settings.flushInterval);
  }

  /** The connection is back: no need to wait any longer. */
  retry(): void {
    this.failures = this.notBefore = 0;
    this.flush();
  }

  flush(): void {
    const wait = this.notBefore - Date.now();
    if (wait > 0) return this.after(wait);
    if (this.busy.length || !this.allowed()) return;
    const events = this.queue.first(this.most, BATCH);
    if (events.length) void this.send(events);
  }

  /** The page may be gone the next moment: sends what the browser takes; the rest stays queued. */
  leave(): void {
    if (!this.allowed() || this.notBefore > Date.now()) return;
    // What is on its way in a request that outlives the page counts, and is not sent twice.
    const room = KEEPALIVE - this.busy.reduce((sum, event) => sum + bytes(event.json) + 1, 0);
    const events = this.queue.first(MOST_LEAVING, room - HEAD, true, this.busy);
    if (events.length) void this.send(events);
  }

  private async send(events: Queued[]): Promise<void> {
    this.busy = this.busy.concat(events);
    let status = 0;
    let asked = 0;
    try {
      const response = await this.post(this.body(events));
      status = response.status;
      asked = Number(response.headers.get('Retry-After')) * 1000 || 0;
    } catch {
      // No answer: the same as one that asks to come back.
    }
    this.busy = this.busy.filter((event) => !events.includes(event));
    this.settle(events, status, asked);
  }

  private post(body: string): Promise<Response> {
    const url = `${this.settings.endpoint}/v1/batch`;
    const keepalive = bytes(body) < KEEPALIVE;
    const headers = { 'Content-Type': 'text/plain' };
    const signal = AbortSignal.timeout?.(PATIENCE);
    return fetch(url, { method: 'POST', body, headers, keepalive, signal, credentials: 'omit' });
  }

  private body(events: Queued[]): string {
    const batch = events.map((event) => event.json).join(',');
    const key = JSON.stringify(this.settings.pipelineKey);
    return `{"writeKey":${key},"sentAt":"${new Date().toISOString()}","batch":[${batch}]}`;
  }

  private settle(events: Queued[], status: number, asked: number): void {
    if (status === 413 && events.length > 1) {
      this.most = Math.max(1, events.length >> 1);
    } else if (status === 0 || status === 408 || status === 429 || status >= 500) {
      const wait = Math.min(1000 * 2 ** this.failures++, LONGEST_WAIT) * (1 + Math.random() / 2);
      this.notBefore = Date.now() + (asked ? Math.min(asked, LONGEST_ASKED) : wait);
    } else {
      this.queue.remove(events);
      this.failures = this.notBefore = 0;
      this.most = MOST;
    }
    if (this.queue.length) this.flush();
  }

  private after(wait: number): void {
    if (this.timer) return;
    this.timer = setTimeout(() => {
      this.timer = undefined;
      this.flush();
    }, wait);
  }
}
