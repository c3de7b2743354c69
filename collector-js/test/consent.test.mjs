// What consent platforms write down, read by the parsers of the collector.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { build } from 'esbuild';

const built = await build({
  entryPoints: [new URL('../src/consent.ts', import.meta.url).pathname],
  bundle: true,
  format: 'esm',
  write: false,
});
const source = Buffer.from(built.outputFiles[0].contents).toString('base64');
const { canonical, cookiebot, custom, didomi, oneTrust, osano, said, tcf } = await import(`data:text/javascript;base64,${source}`);

const encoded = (value) => Buffer.from(JSON.stringify(value)).toString('base64');

/** A TC string that grants these purposes, with the fields before them as they come. */
function tcString(purposes) {
  const bits = new Uint8Array(32);
  bits[0] = 2 << 2;
  for (const purpose of purposes) bits[(151 + purpose) >> 3] |= 128 >> ((151 + purpose) & 7);
  return `${Buffer.from(bits).toString('base64url')}.YAAAAAAAAAAA`;
}

test('OneTrust: groups, and refusals only once the visitor has chosen', () => {
  const text = 'isGpcEnabled=0&datestamp=Sun+Nov+22+2026&groups=C0001:1,C0002:0,C0004:1';
  assert.deepEqual(oneTrust(text, true), { C0001: true, C0002: false, C0004: true });
  assert.deepEqual(oneTrust(text, false), { C0001: true, C0004: true });
  assert.equal(oneTrust(null, true), undefined);
});

test('Cookiebot: a literal that is no JSON', () => {
  const text = "{stamp:'a%2B=',necessary:true,preferences:false,statistics:true,marketing:false,method:'explicit',ver:1}";
  assert.deepEqual(cookiebot(text), { necessary: true, preferences: false, statistics: true, marketing: false });
  assert.deepEqual(canonical(cookiebot('-1'), {}), { essential: true, functional: true, analytics: true, marketing: true });
  assert.deepEqual(cookiebot('0'), {});
});

test('Didomi: purposes that are switched on and off', () => {
  const token = encoded({ user_id: 'u', purposes: { enabled: ['analytics'], disabled: ['select_basic_ads'] } });
  assert.deepEqual(didomi(token), { analytics: true, select_basic_ads: false });
  assert.deepEqual(canonical(didomi(token), {}), { analytics: true, marketing: false });
  assert.deepEqual(didomi('%%%'), {});
});

test('Osano: words for each category', () => {
  const grants = osano({ ESSENTIAL: 'ACCEPT', STORAGE: 'DENY', MARKETING: 'DENY', ANALYTICS: 'ACCEPT', other: 3 });
  assert.deepEqual(canonical(grants, {}), { essential: true, functional: false, marketing: false, analytics: true });
});

test('TCF: the bits of the purposes; what several stand for needs all of them', () => {
  assert.deepEqual(Object.keys(tcf(tcString([1, 8]))).length, 11);
  const granted = (purposes) => canonical(tcf(tcString(purposes)), {});
  assert.deepEqual(granted([1, 8, 9, 10]), { functional: true, marketing: false, personalization: false, analytics: true });
  assert.equal(granted([2, 3, 4]).marketing, false);
  assert.equal(granted([2, 3, 4, 7]).marketing, true);
  for (const odd of [null, '', 'CP', '....', 'A'.repeat(100)]) assert.equal(tcf(odd), undefined);
});

test('custom: JSON, lists and pairs', () => {
  const grants = { analytics: true, marketing: false };
  for (const text of [
    '{"analytics":true,"marketing":"no"}',
    'analytics:1,marketing:0',
    'analytics=granted&marketing=denied',
    'analytics%3Atrue%3Bmarketing%3Afalse',
  ]) {
    assert.deepEqual(custom(text), grants, text);
  }
  assert.deepEqual(custom('analytics,functional'), { analytics: true, functional: true });
  assert.deepEqual(custom('["analytics"]'), { analytics: true });
});

test('what a page says, and codes of its own', () => {
  assert.deepEqual(said(['analytics']), { analytics: true });
  assert.deepEqual(said({ analytics: 'yes', marketing: 0 }), { analytics: true, marketing: false });
  assert.deepEqual(said(null), {});
  assert.deepEqual(canonical({ A7: true, unknown: true }, { A7: 'analytics' }), { analytics: true });
});
