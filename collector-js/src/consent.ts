/**
 * What the visitor allows, as their consent platform has written it down or as the page says it.
 *
 * The codes of the platform go out as they are; what they mean in the five shared categories goes
 * out beside them. A category that several codes stand for is granted when all of them are.
 */

import { cookie, decoded, parsed } from './storage';

export type Grants = Record<string, boolean>;

export interface Consent {
  categories: Grants;
  canonical: Grants;
  /** The signal of the browser against selling and sharing. */
  gpc?: true;
}

const MEANING = new Map<string, string>();
for (const [category, codes] of Object.entries({
  essential: 'essential,necessary,strictly_necessary,C0001',
  functional: 'functional,preferences,storage,cookies,C0003,tcf_1',
  analytics:
    'analytics,statistics,performance,analytics_storage,C0002,tcf_8,tcf_9,tcf_10,' +
    'measure_content_performance,market_research,improve_products',
  marketing:
    'marketing,advertising,targeting,ad_storage,C0004,C0005,tcf_2,tcf_3,tcf_4,tcf_7,ad_delivery,' +
    'advertising_personalization,select_basic_ads,create_ads_profile,select_personalized_ads,measure_ad_performance',
  personalization:
    'personalization,personalisation,tcf_5,tcf_6,content_personalization,create_content_profile,select_personalized_content',
})) {
  for (const code of codes.split(',')) MEANING.set(code.toLowerCase(), category);
}

const GRANTED = /^(true|1|y|yes|on|granted|accept|accepted|allow|allowed)$/i;

/** Each platform: what it has written down, or nothing while the visitor has not chosen. */
const PLATFORMS: Record<string, () => Grants | undefined> = {
  onetrust: () => oneTrust(cookie('OptanonConsent'), !!cookie('OptanonAlertBoxClosed')),
  cookiebot: () => cookiebot(cookie('CookieConsent')),
  didomi: () => didomi(cookie('didomi_token') ?? kept('didomi_token')),
  osano: () => osano((window as any).Osano?.cm?.getConsent?.() ?? parsed(cookie('osano_consentmanager') ?? kept('osano_consentmanager'))),
  tcf: () => fromApi ?? tcf(cookie('euconsent-v2') ?? kept('euconsent-v2')),
};

/** What `__tcfapi` has told, once it has. */
let fromApi: Grants | undefined;

let listening = false;

/** Asks a TCF platform to tell of every choice, once it is there. */
export function listen(changed: () => void): void {
  const api = (window as any).__tcfapi;
  if (listening || typeof api !== 'function') return;
  listening = true;
  api('addEventListener', 2, (data: any, ok: boolean) => {
    if (!ok || data?.eventStatus === 'cmpuishown' || !data?.purpose?.consents) return;
    fromApi = {};
    // Where the law does not apply nobody is asked, and nothing is refused.
    const free = data.gdprApplies === false;
    for (let purpose = 1; purpose <= 11; purpose++) fromApi[`tcf_${purpose}`] = free || data.purpose.consents[purpose] === true;
    changed();
  });
}

/** The consent of now; nothing when nobody has said anything. */
export function consent(from: string, map: Record<string, string>, said: Grants | undefined): Consent | undefined {
  const gpc = (navigator as any).globalPrivacyControl === true;
  const categories = said ?? ask(from);
  if (!categories && !gpc) return undefined;
  const found: Consent = { categories: { ...categories }, canonical: canonical(categories ?? {}, map) };
  if (gpc) {
    found.gpc = true;
    found.canonical.marketing = false;
  }
  return found;
}

export function canonical(categories: Grants, map: Record<string, string>): Grants {
  const found: Grants = {};
  for (const [code, granted] of Object.entries(categories)) {
    const category = new Map(Object.entries(map)).get(code) ?? MEANING.get(code.toLowerCase());
    if (category) found[category] = granted && found[category] !== false;
  }
  return found;
}

function ask(from: string): Grants | undefined {
  if (from === 'none') return undefined;
  if (from.startsWith('custom:')) {
    const name = from.slice(7);
    return custom(cookie(name) ?? kept(name));
  }
  for (const [name, read] of Object.entries(PLATFORMS)) {
    if (from !== 'auto' && from !== name) continue;
    try {
      const found = read();
      if (found && Object.keys(found).length) return found;
    } catch {
      // A platform that fails has said nothing.
    }
  }
  return undefined;
}

/** `groups=C0001:1,C0002:0` in a form. Before a choice the zeros are presets and say nothing. */
export function oneTrust(text: string | null, chosen: boolean): Grants | undefined {
  const groups = new URLSearchParams(text ?? '').get('groups');
  if (!groups) return undefined;
  const found: Grants = {};
  for (const pair of groups.split(',')) {
    const [code, value] = pair.split(':');
    if (code && (chosen || value === '1')) found[code] = value === '1';
  }
  return found;
}

/** A literal of JavaScript that is no JSON; `-1` where the law asks for no consent. */
export function cookiebot(text: string | null): Grants | undefined {
  const found: Grants = {};
  if (text === '-1') for (const code of ['necessary', 'preferences', 'statistics', 'marketing']) found[code] = true;
  for (const [, code, value] of (text ?? '').matchAll(/(necessary|preferences|statistics|marketing):(true|false)/g)) {
    found[code!] = value === 'true';
  }
  return found;
}

/** Base64 of JSON with the purposes that were switched on and off. */
export function didomi(text: string | null): Grants | undefined {
  const purposes = parsed(base64(text ?? '')).purposes ?? {};
  const found: Grants = {};
  for (const code of list(purposes.enabled)) found[code] = true;
  for (const code of list(purposes.disabled)) found[code] = false;
  return found;
}

/** `{"ANALYTICS":"ACCEPT","MARKETING":"DENY"}`. */
export function osano(said: Record<string, unknown>): Grants | undefined {
  const found: Grants = {};
  for (const [code, value] of Object.entries(said)) {
    if (value === 'ACCEPT' || value === 'DENY') found[code.toLowerCase()] = value === 'ACCEPT';
  }
  return found;
}

/** The purposes of a TC string: 24 bits after the first 152 of its core. */
export function tcf(text: string | null): Grants | undefined {
  const bytes = base64((text ?? '').split('.')[0]!.replace(/-/g, '+').replace(/_/g, '/'));
  if (bytes.length < 22 || bytes.charCodeAt(0) >> 2 !== 2) return undefined;
  const found: Grants = {};
  for (let purpose = 1; purpose <= 11; purpose++) {
    const bit = 151 + purpose;
    found[`tcf_${purpose}`] = !!(bytes.charCodeAt(bit >> 3) & (128 >> (bit & 7)));
  }
  return found;
}

/** JSON; or names and values such as `a:1,b:0`, `a=1&b=0`, `a=true;b=false`; or the granted names alone. */
export function custom(text: string | null): Grants | undefined {
  if (!text) return undefined;
  const json = parsed(decoded(text));
  const found: Grants = {};
  if (Array.isArray(json)) for (const code of list(json)) found[code] = true;
  else for (const [code, value] of Object.entries(json)) found[code] = GRANTED.test(String(value));
  if (Object.keys(found).length || /^[[{]/.test(text)) return found;
  for (const pair of decoded(text).split(/[,;&|]/)) {
    const [code, value] = pair.trim().split(/[:=]/);
    if (code) found[code] = value === undefined || GRANTED.test(value.trim());
  }
  return found;
}

/** What a page hands over: names with a value each, or the granted names. */
export function said(categories: unknown): Grants {
  const found: Grants = {};
  if (Array.isArray(categories)) for (const code of list(categories)) found[code] = true;
  else for (const [code, value] of Object.entries(categories ?? {})) found[code] = GRANTED.test(String(value));
  return found;
}

function list(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((item): item is string => typeof item === 'string') : [];
}

function base64(text: string): string {
  try {
    return atob(text);
  } catch {
    return '';
  }
}

function kept(name: string): string | null {
  try {
    return localStorage.getItem(name);
  } catch {
    return null;
  }
}
