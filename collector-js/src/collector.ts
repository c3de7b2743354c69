/**
 * The calls of a page, in their order: held back while the settings or the visitor's consent are
 * not known, then made into events and queued.
 */

import { source } from './campaign';
import { Consent, consent, Grants, listen, said } from './consent';
import { pageOf, surroundings } from './context';
import { Identity, Traits, uuid } from './identity';
import { onNavigation } from './navigation';
import { MOST_EVENTS, Queue } from './queue';
import { Sender } from './sender';
import { merge, PRESETS, Settings } from './settings';
import { snapshot } from './snapshot';
import { Storage } from './storage';

/** A call with what was true when it was made. */
interface Call {
  method: 'track' | 'page' | 'identify' | 'group' | 'reset';
  args: unknown[];
  at: Date;
  page: Record<string, string>;
  /** Made by the collector itself, because a page was shown. */
  automatic?: boolean;
}

type Standing = 'granted' | 'unknown' | 'denied';

const HOUSEKEEPING = 5000;
/** No person sees more pages in a minute; a page that writes its state into the address shows as many. */
const MOST_PAGES = 60;

export class Collector {
  private readonly settings: Settings = { ...PRESETS };
  private storage!: Storage;
  private identity!: Identity;
  private queue!: Queue;
  private sender!: Sender;
  private held: Call[] = [];
  private known = false;
  private started = false;
  private granted: Grants | undefined;
  private extra: Record<string, unknown> = {};
  /** A page that was shown a moment ago: its title may still change. */
  private shown: Call | undefined;
  private watch: ReturnType<typeof setTimeout> | undefined;
  /** When pages were shown in the last minute. */
  private pages: number[] = [];
  private referrer = document.referrer;
  private here = location.href;

  /** `served` is what the server embedded, `page` what the page says; a later word wins. */
  constructor(
    private readonly served: unknown,
    private readonly page: Record<string, unknown>,
  ) {}

  init(options?: unknown): void {
    Object.assign(this.page, options);
    merge(this.settings, this.served);
    const key = this.settings.pipelineKey;
    merge(this.settings, this.page);
    if (this.started || !this.settings.pipelineKey) return;
    this.started = true;
    this.storage = new Storage(this.settings.pipelineKey);
    this.identity = new Identity(this.storage);
    this.queue = new Queue(this.storage);
    this.sender = new Sender(this.settings, this.queue, () => this.standing() === 'granted');
    this.known = key === this.settings.pipelineKey;
    if (!this.known) void this.ask(0);
    this.attend();
    this.go();
  }

  track(name: unknown, properties?: unknown): void {
    this.call('track', [name, properties]);
  }

  page_(...args: unknown[]): void {
    // It says more of the page that is shown than the automatic call.
    this.shown = undefined;
    this.call('page', args);
  }

  identify(...args: unknown[]): void {
    this.call('identify', args);
  }

  group(...args: unknown[]): void {
    this.call('group', args);
  }

  reset(): void {
    this.call('reset', []);
  }

  context(more: unknown): void {
    Object.assign(this.extra, snapshot(more));
  }

  consent(categories: unknown): void {
    this.granted = { ...this.granted, ...said(categories) };
    this.go();
  }

  flush(): void {
    this.emitShown();
    if (this.started) this.sender.flush();
  }

  /** The page call that nobody has to make. */
  show(): void {
    this.shown = this.made('page', []);
    this.shown.automatic = true;
    const shown = this.shown;
    setTimeout(() => this.shown === shown && this.emitShown());
  }

  /** The page that is shown after the first, within reason. */
  private showNext(): void {
    const now = Date.now();
    this.pages = this.pages.filter((at) => at > now - 60_000);
    if (!this.settings.pages || this.pages.push(now) > MOST_PAGES) return;
    this.show();
  }

  private emitShown(): void {
    const shown = this.shown;
    this.shown = undefined;
    if (!shown) return;
    shown.page.title = document.title;
    this.put(shown);
  }

  private call(method: Call['method'], args: unknown[]): void {
    this.emitShown();
    this.put(this.made(method, args));
  }

  /** The call as it is now: the page may change its objects the next moment. */
  private made(method: Call['method'], args: unknown[]): Call {
    return { method, args: args.map(snapshot), at: new Date(), page: pageOf(this.here, this.referrer) };
  }

  private put(call: Call): void {
    this.held.push(call);
    if (this.held.length > MOST_EVENTS) this.held.shift();
    this.go();
  }

  /** What the visitor allows now. */
  private now(): Consent | undefined {
    return consent(this.settings.consentFrom, this.settings.consentMap, this.granted);
  }

  private standing(): Standing {
    if (!this.started || !this.known) return 'unknown';
    const required = this.settings.consentRequired;
    if (!required.length) return 'granted';
    const now = this.now();
    const words = required.map((name) => now?.canonical[name] ?? now?.categories[name]);
    if (words.includes(false)) return 'denied';
    return words.includes(undefined) ? 'unknown' : 'granted';
  }

  /** Makes events of what is held, or forgets it, as far as that is known. */
  private go(): void {
    const standing = this.standing();
    if (standing === 'unknown') {
      if (this.started && this.held.length && !this.watch) {
        // Platforms write their cookie without telling.
        this.watch = setTimeout(() => {
          this.watch = undefined;
          this.go();
        }, 500);
      }
      return;
    }
    const calls = this.held.splice(0);
    if (standing === 'denied') {
      this.storage.refuse();
      this.queue.clear();
      return;
    }
    if (this.storage.allow()) this.queue.adopt(() => this.sender.flush());
    for (const call of calls) this.run(call);
    if (calls.length) this.sender.soon();
  }

  private run({ method, args, at, page, automatic }: Call): void {
    if (automatic && !this.settings.pages) return;
    if (method === 'reset') return this.identity.reset();
    const event: Record<string, unknown> = { type: method };
    const [first, second] = args;
    if (method === 'track') {
      event.event = String(first ?? '');
      event.properties = { ...object(second) };
    } else if (method === 'page') {
      const name = typeof first === 'string' ? first : undefined;
      event.name = name;
      event.properties = { ...page, name, ...object(name === undefined ? (first ?? second) : second) };
    } else if (method === 'identify') {
      const userId = text(first);
      event.traits = this.identity.identify(userId, object(userId === undefined ? (first ?? second) : second)).traits;
    } else {
      const groupId = text(first);
      if (!groupId) return;
      this.identity.group(groupId);
      event.traits = object(second);
    }
    this.enqueue(event, method, at, page);
  }

  private enqueue(event: Record<string, unknown>, method: string, at: Date, page: Record<string, string>): void {
    const { anonymousId, userId, groupId } = this.identity.get();
    const grouped = method === 'group' ? { groupId } : {};
    const context = {
      ...surroundings(),
      page,
      ...source(this.storage, page.search ?? '', at.getTime()),
      groupId,
      consent: this.now(),
      ...this.extra,
    };
    const message = { ...event, ...grouped, anonymousId, userId, messageId: uuid(), timestamp: at.toISOString(), context };
    this.queue.push(JSON.stringify(message));
  }

  /** Asks for the settings of this key. Until they are there, nothing is stored or sent. */
  private async ask(tries: number): Promise<void> {
    const { endpoint, pipelineKey } = this.settings;
    try {
      const url = `${endpoint}/v1/script?writeKey=${encodeURIComponent(pipelineKey)}`;
      const response = await fetch(url, { credentials: 'omit' });
      if (response.status === 429 || response.status >= 500) throw 0;
      if (response.ok) {
        merge(this.settings, await response.json());
        merge(this.settings, this.page);
      }
      this.known = true;
      this.go();
    } catch {
      setTimeout(() => this.ask(tries + 1), Math.min(1000 * 2 ** tries, 60_000));
    }
  }

  private attend(): void {
    const hear = () => listen(() => this.go());
    hear();
    onNavigation((url, before) => {
      this.emitShown();
      this.here = url;
      this.referrer = before;
      this.showNext();
    });
    const leave = () => {
      this.emitShown();
      this.sender.leave();
    };
    addEventListener('visibilitychange', () => document.visibilityState === 'hidden' && leave());
    addEventListener('pagehide', () => {
      leave();
      this.queue.release();
    });
    addEventListener('pageshow', (event) => {
      if (!event.persisted) return;
      // Out of the cache of back and forward: a page that is shown again, without a load.
      this.sender.flush();
      this.showNext();
    });
    addEventListener('online', () => this.sender.retry());
    setInterval(() => {
      hear();
      if (this.standing() !== 'granted') return this.go();
      this.queue.renew();
      this.queue.adopt(() => this.sender.flush());
    }, HOUSEKEEPING);
  }
}

function object(value: unknown): Traits {
  return value && typeof value === 'object' && !Array.isArray(value) ? (value as Traits) : {};
}

/** An id: text that is not empty, or a number. */
function text(value: unknown): string | undefined {
  return typeof value === 'number' || (typeof value === 'string' && value) ? String(value) : undefined;
}
