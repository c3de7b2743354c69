/**
 * Events on their way, kept until they are answered.
 *
 * Every tab writes a record of its own, with a lease. A record whose lease has run out belongs to
 * nobody: the first tab that signs it takes it over. What counts is the record: a tab that finds
 * its own signed by another forgets what was in it, so that no two tabs send the same.
 */

import { uuid } from './identity';
import { parsed, Storage } from './storage';

export interface Queued {
  /** The event as JSON. Its message id stays the same however often it is sent. */
  json: string;
}

interface Record {
  owner: string;
  /** Until when nobody else may take it, in milliseconds. */
  until: number;
  events: string[];
}

const LEASE = 15_000;
export const MOST_EVENTS = 1000;
/** In characters; browsers give a site five million. */
export const MOST_CHARACTERS = 1_000_000;

export class Queue {
  private readonly owner = uuid();
  private events: Queued[] = [];
  private characters = 0;
  /** Whether a record of ours is out there. */
  private written = false;

  constructor(private readonly storage: Storage) {}

  get length(): number {
    return this.events.length;
  }

  /** Adds an event at the end; the oldest make room. */
  push(json: string): void {
    this.recall();
    this.add(json);
    this.write();
  }

  /** The first events, as many as there is room for in bytes. At least one, unless `strict`. */
  first(most: number, room: number, strict = false, except: Queued[] = []): Queued[] {
    this.recall();
    const taken: Queued[] = [];
    for (const event of this.events) {
      if (except.includes(event)) continue;
      room -= bytes(event.json) + 1;
      if (taken.length >= most || (room < 0 && (strict || taken.length))) break;
      taken.push(event);
    }
    return taken;
  }

  /** Removes what has been answered. */
  remove(done: Queued[]): void {
    this.recall();
    this.events = this.events.filter((event) => !done.includes(event));
    this.characters = this.events.reduce((sum, event) => sum + event.json.length, 0);
    this.write();
  }

  /** Forgets everything. */
  clear(): void {
    this.events = [];
    this.characters = 0;
    this.write();
  }

  /** Renews the lease. */
  renew(): void {
    this.recall();
    if (this.events.length) this.write();
  }

  /** Lets others have it: the page is going away. */
  release(): void {
    this.recall();
    if (this.events.length) this.write(0);
  }

  /** Takes over what tabs have left behind, once nobody disputes it. */
  adopt(taken: () => void): void {
    const now = Date.now();
    for (const name of this.storage.names('q.')) {
      if (name === this.name) continue;
      const record = this.read(name);
      if (record.until > now || record.owner === this.owner) continue;
      this.storage.set(name, JSON.stringify({ ...record, owner: this.owner, until: now + LEASE }));
      // Two tabs may sign at the same moment. The later signature stands, and each looks again.
      setTimeout(() => {
        const signed = this.read(name);
        if (signed.owner !== this.owner) return;
        this.storage.remove(name);
        for (const json of signed.events) this.add(json);
        this.write();
        taken();
      }, 100);
    }
  }

  private get name(): string {
    return `q.${this.owner}`;
  }

  private add(json: string): void {
    this.events.push({ json });
    this.characters += json.length;
    while (this.events.length > MOST_EVENTS || (this.characters > MOST_CHARACTERS && this.events.length > 1)) {
      this.characters -= this.events.shift()!.json.length;
    }
  }

  /** Forgets what another tab has taken over, as when this page was frozen for long. */
  private recall(): void {
    if (!this.written || !this.storage.lasting) return;
    if (this.read(this.name).owner === this.owner) return;
    this.events = [];
    this.characters = 0;
    this.written = false;
  }

  private write(until = Date.now() + LEASE): void {
    if (!this.events.length) {
      if (this.written) this.storage.remove(this.name);
      this.written = false;
      return;
    }
    if (!this.storage.lasting) return;
    const events = this.events.map((event) => event.json);
    const record: Record = { owner: this.owner, until, events };
    // Without room the events stay in memory, and what is out there stays as it was.
    if (this.storage.set(this.name, JSON.stringify(record))) this.written = true;
  }

  private read(name: string): Record {
    const { owner, until, events } = parsed(this.storage.get(name));
    const texts = Array.isArray(events) ? events.filter((event) => typeof event === 'string') : [];
    return { owner: String(owner ?? ''), until: Number(until) || 0, events: texts };
  }
}

/** The length on the wire. */
export function bytes(text: string): number {
  return new TextEncoder().encode(text).length;
}
