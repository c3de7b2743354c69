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
  const tag = document.currentScript as HTMLScriptElement | null;
  const data = tag?.dataset ?? {};
  const spaces = window as unknown as Record<string, any>;
  const names = [...new Set([data.global || SERVED.global || '_df', ALWAYS])];
  if (names.some((name) => spaces[name]?.loaded)) return;

  const page: Record<string, unknown> = {};
  for (const name of ['pipelineKey', 'endpoint', 'consentFrom']) if (data[name]) page[name] = data[name];
  for (const name of ['batchSize', 'flushInterval']) if (data[name]) page[name] = Number(data[name]);
  if (data.pages) page.pages = data.pages !== 'false';
  const from = tag?.src ? new URL('.', tag.src).href : location.origin;
  const collector = new Collector({ endpoint: from, ...SERVED }, page);

  const call = (method: string, args: unknown[]) => {
    if (METHODS.includes(method)) (collector as any)[method === 'page' ? 'page_' : method](...args);
  };
  const api = ((method, ...args) => call(method, args)) as Api;
  for (const method of METHODS) api[method] = (...args: unknown[]) => call(method, args);
  api.loaded = true;
  api.push = (args: ArrayLike<unknown>) => replay([args], call);

  const before = names.flatMap((name) => {
    const stub = spaces[name];
    return Array.from((Array.isArray(stub) ? stub : stub?.q) ?? []) as ArrayLike<unknown>[];
  });
  for (const name of names) spaces[name] = api;

  const settings = before.filter((args) => args?.[0] === 'init');
  const calls = before.filter((args) => args?.[0] !== 'init');
  replay(settings, call);
  collector.init();
  // Whoever calls `page` says more than the automatic call would.
  if (!calls.some((args) => args?.[0] === 'page')) collector.show();
  replay(calls, call);
}

function replay(calls: ArrayLike<unknown>[], call: (method: string, args: unknown[]) => void): void {
  for (const args of calls) {
    const [method, ...rest] = Array.from(args ?? []);
    call(String(method), rest);
  }
}

load();
