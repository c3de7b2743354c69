/**
 * The script of the pipeline: takes the place of the page's stub, under the name that the page or
 * the pipeline chose and always as `datafly`, and makes up for the calls that came before it.
 *
 * A stub is anything with a list `q` of calls, each the name of a method and its arguments, or a
 * list itself. The name can be called as a function (`_df('track', 'Seen')`) or asked for its
 * methods (`_df.track('Seen')`).
 */

import { Collector } from './collector';
import { ALWAYS } from './settings';

declare const SERVED: { global?: string } & Record<string, unknown>;

type Api = ((method: string, ...args: unknown[]) => void) & Record<string, unknown>;

const METHODS = ['init', 'track', 'page', 'identify', 'group', 'reset', 'context', 'consent', 'flush'];

function load(): void {
  // An element that is called `currentScript` takes the place of the real one; it has no say here.
  const current = document.currentScript;
  const tag = current instanceof HTMLScriptElement ? current : undefined;
  const data = tag?.dataset ?? {};
  const spaces = window as unknown as Record<string, any>;
  const names = [...new Set([data.global || SERVED.global || '_df', ALWAYS])];
  const before = names.flatMap((name) => calls(spaces[name]));
  const loaded = names.map((name) => spaces[name]).find((there) => there?.loaded);
  if (loaded) {
    // Loaded twice. What a second stub holds, or one that took the place of the first, is made up for.
    claim(names, loaded);
    return before.forEach((args) => loaded.push(args));
  }

  const page: Record<string, unknown> = {};
  for (const name of ['pipelineKey', 'endpoint', 'consentFrom']) if (data[name]) page[name] = data[name];
  for (const name of ['batchSize', 'flushInterval']) if (data[name]) page[name] = Number(data[name]);
  if (data.pages) page.pages = data.pages !== 'false';
  const from = tag?.src ? new URL('.', tag.src).href : location.origin;
  const collector = new Collector({ endpoint: from, ...SERVED }, page);

  const call = (method: string, args: unknown[]) => {
    if (!METHODS.includes(method)) return;
    try {
      (collector as any)[method === 'page' ? 'page_' : method](...args);
    } catch (error) {
      // Whatever it is, it must not stop the page.
      console.warn(`${method}:`, error);
    }
  };
  const api = ((method, ...args) => call(method, args)) as Api;
  for (const method of METHODS) api[method] = (...args: unknown[]) => call(method, args);
  api.loaded = true;
  api.push = (args: ArrayLike<unknown>) => replay([args], call);

  claim(names, api);

  const settings = before.filter((args) => args?.[0] === 'init');
  const rest = before.filter((args) => args?.[0] !== 'init');
  replay(settings, call);
  call('init', []);
  // Whoever calls `page` says more than the automatic call would.
  if (!rest.some((args) => args?.[0] === 'page')) collector.show();
  replay(rest, call);
}

/** The calls that a stub holds; none of what is no stub. */
function calls(stub: any): ArrayLike<unknown>[] {
  const held = Array.isArray(stub) ? stub : stub?.q;
  return held && typeof held === 'object' ? Array.from(held as ArrayLike<ArrayLike<unknown>>) : [];
}

/** Takes the names, but for those that the page uses for something else. */
function claim(names: string[], api: unknown): void {
  const spaces = window as unknown as Record<string, any>;
  for (const name of names) {
    const there = spaces[name];
    // An element of this name is no variable of the page, and gives way.
    const free = there == null || there === api || Array.isArray(there) || there.q || !Object.keys(window).includes(name);
    try {
      if (!free) throw 'the page uses this name';
      spaces[name] = api;
    } catch (error) {
      console.warn(`window.${name}:`, error);
    }
  }
}

function replay(calls: ArrayLike<unknown>[], call: (method: string, args: unknown[]) => void): void {
  for (const args of calls) {
    const [method, ...rest] = Array.from(args ?? []);
    call(String(method), rest);
  }
}

load();
