/**
 * Where the visitor came from: the campaign in the address, kept for the session, and the click ids
 * of advertisers, kept for the visitor.
 */

import { parsed, Storage } from './storage';

const CLICK_IDS =
  'dclid,epik,fbclid,gbraid,gclid,irclickid,ko_click_id,li_fat_id,msclkid,rdt_cid,sccid,ScCid,ttclid,twclid,wbraid,yclid'.split(',');
/** A session ends after so long without an event. */
const SESSION = 30 * 60_000;
/** What advertisers at most look back. */
const KEPT = 90 * 86_400_000;
/** No honest value is longer. */
const LONGEST = 512;

export interface Source {
  campaign?: Record<string, string>;
  clickIds?: Record<string, string>;
}

export function source(storage: Storage, search: string, now: number): Source {
  const kept = parsed(storage.get('from'));
  const { campaign, clickIds } = inAddress(search);
  const session = now - kept.at < SESSION ? kept.campaign : undefined;
  const before = now - kept.clicked < KEPT ? kept.clickIds : undefined;
  const found: Source = { campaign: campaign ?? session, clickIds: clickIds ? { ...before, ...clickIds } : before };
  if (found.campaign || found.clickIds) {
    const clicked = clickIds ? now : kept.clicked;
    storage.set('from', JSON.stringify({ ...found, at: now, clicked }));
  }
  return found;
}

function inAddress(search: string): Source {
  const campaign: Record<string, string> = {};
  const clickIds: Record<string, string> = {};
  new URLSearchParams(search).forEach((value, name) => {
    if (!value || value.length > LONGEST) return;
    if (/^utm_[a-z_]{1,32}$/.test(name)) campaign[name === 'utm_campaign' ? 'name' : name.slice(4)] = value;
    if (CLICK_IDS.includes(name)) clickIds[name] = value;
  });
  return { campaign: some(campaign), clickIds: some(clickIds) };
}

function some(of: Record<string, string>): Record<string, string> | undefined {
  return Object.keys(of).length ? of : undefined;
}
