// What visitors of a site with our own collector do, one journey for each name of `job.journey`.
//
// Nothing waits for time to pass: journeys wait for what the gate in front of the collector has
// seen, or for what the page can tell.

import { Gate } from '../gate.mjs';

export default async function collector({ job, site, visitor }) {
  const gate = await Gate.open(job.collector);
  site.job = { ...job, collector: gate.url };
  const journey = new Journey(job, site, visitor, gate);
  return journey[job.journey]();
}

const events = (batches) => batches.filter(({ status }) => status === 200).flatMap(({ batch }) => batch);
const distinct = (batches) => new Set(events(batches).map((event) => event.messageId)).size;
const has = (count) => (batches) => distinct(batches) >= count;

class Journey {
  constructor(job, site, visitor, gate) {
    Object.assign(this, { job, site, visitor, gate });
  }

  open(path = '/shop.html') {
    return this.visitor.open(this.site.url + path);
  }

  /** What came, in a form that is easy to compare: names in their order, as the pages made them. */
  report(more) {
    const seen = new Map(events(this.gate.batches).map((event) => [event.messageId, event]));
    const all = [...seen.values()];
    return { calls: all.length, names: all.map((event) => event.event ?? event.name ?? event.type), events: all, ...more };
  }

  async navigation() {
    const page = await this.open('/shop.html?utm_source=mail&utm_campaign=autumn&gclid=g-1');
    await page.evaluate(() => {
      history.pushState({}, '', '/mugs');
      document.title = 'Mugs';
    });
    await page.evaluate(() => history.replaceState({}, '', '/mugs'));
    await page.evaluate(() => history.replaceState({}, '', '/mugs?color=red'));
    await page.evaluate(() => (location.hash = 'top'));
    await page.evaluate(() => {
      history.pushState({}, '', '/cups');
      _df.page('Cups', { shelf: 3 });
    });
    await page.goBack();
    await this.gate.until(has(5));
    return this.report();
  }

  async leaving() {
    const page = await this.open();
    await this.gate.until(has(1));
    await page.evaluate(() => {
      for (let number = 0; number < 5; number++) _df.track('Last Look', { number });
    });
    await page.close({ runBeforeUnload: false });
    await this.gate.until(has(6));
    return this.report();
  }

  async refused() {
    const page = await this.open('/strict.html');
    await page.evaluate(() => _df.track('Seen Before The Choice'));
    const kept = () => page.evaluate(() => [Object.keys(localStorage), document.cookie]);
    const undecided = await kept();
    await page.evaluate(() => {
      document.cookie = 'CookieConsent={necessary:true,preferences:false,statistics:false,marketing:false}';
      _df.track('Seen Against The Choice');
      _df.identify('ada');
      _df.flush();
    });
    const refused = await kept();
    await page.reload();
    await page.evaluate(() => _df.track('Seen On The Next Page'));
    const later = await kept();
    const asked = this.gate.batches.length;
    await page.evaluate(() => {
      document.cookie = 'CookieConsent={necessary:true,preferences:false,statistics:true,marketing:false}';
      _df.track('Seen With Consent');
    });
    await this.gate.until(has(1));
    await page.evaluate(() => {
      document.cookie = 'CookieConsent={necessary:true,preferences:false,statistics:false,marketing:false}';
      _df.track('Seen After Withdrawal');
    });
    return this.report({ undecided, refused, later, asked, withdrawn: await kept() });
  }

  async offline() {
    const page = await this.open();
    await this.gate.until(has(1));
    await this.visitor.context.setOffline(true);
    const failed = page.waitForEvent('requestfailed');
    await page.evaluate(() => {
      for (let number = 0; number < 12; number++) _df.track('Read Offline', { number });
    });
    await failed;
    const before = this.gate.batches.length;
    await this.visitor.context.setOffline(false);
    await this.gate.until(has(13));
    return this.report({ before });
  }

  async trouble() {
    const page = await this.open();
    await this.gate.until(has(1));
    const answers = [];
    for (const [status, headers] of [[503, {}], [429, { 'Retry-After': '1' }]]) {
      this.gate.closed = { status, headers };
      await page.evaluate((status) => _df.track('Asked To Wait', { status }), status);
      await this.gate.until((batches) => batches.some((batch) => batch.status === status));
      this.gate.closed = undefined;
      answers.push(status);
      await this.gate.until(has(1 + answers.length));
    }
    this.gate.closed = { status: 400 };
    await page.evaluate(() => _df.track('Refused For Good'));
    await this.gate.until((batches) => batches.some((batch) => batch.status === 400));
    this.gate.closed = undefined;
    await page.evaluate(() => _df.track('After That'));
    await this.gate.until(has(4));
    const asked = this.gate.batches.map(({ status, ids }) => [status, ids]);
    return this.report({ asked });
  }

  async people() {
    const page = await this.open();
    await page.evaluate(() => {
      _df.track('Product Viewed');
      _df.identify('ada', { email: 'ada@mail.example', plan: 'free' });
      _df.identify('ada', { plan: 'pro' });
      _df.group('moss', { name: 'Moss & Sons' });
      _df.track('Order Completed', { revenue: 39.5 });
      _df.reset();
      _df.track('Product Viewed');
    });
    await this.gate.until(has(7));
    return this.report();
  }

  async tabs() {
    const [one, other] = [await this.open(), await this.open()];
    this.gate.closed = { status: 503, headers: { 'Retry-After': '1' } };
    for (const [page, tab] of [[one, 'one'], [other, 'other']]) {
      await page.evaluate((tab) => {
        for (let number = 0; number < 10; number++) _df.track('Seen In A Tab', { tab, number });
      }, tab);
    }
    await this.gate.until((batches) => batches.some((batch) => batch.status === 503));
    // The first tab goes while nothing can be sent; the second takes over what it left.
    await one.close();
    this.gate.closed = undefined;
    await this.gate.until(has(22));
    const taken = this.gate.batches.filter(({ status }) => status === 200).flatMap(({ ids }) => ids);
    return this.report({ taken: taken.length });
  }

  async heavy() {
    const page = await this.open();
    await this.gate.until(has(1));
    await page.evaluate(() => {
      for (let number = 0; number < 60; number++) _df.track('Long Story', { number, text: 'x'.repeat(5000) });
    });
    // The page goes at once, with some 300 KB in its queue.
    await page.goto(`${this.site.url}/blank.html`);
    await page.goto(`${this.site.url}/shop.html`);
    await this.gate.until(has(62));
    const largest = Math.max(...this.gate.batches.map(({ bytes }) => bytes));
    return this.report({ largest, events: undefined });
  }

  async odd() {
    const page = await this.open();
    await page.evaluate(() => {
      const loop = { size: 'l' };
      loop.self = loop;
      const twin = { color: 'red' };
      const own = { big: 12345678901234567890n, when: new Date(0), never: new Date(NaN), none: undefined, call() {}, loop, twins: [twin, twin], text: '</script>\u2028' };
      _df.track('Odd', own);
      own.big = 'changed after the call';
      _df.track('Too Long', { text: 'x'.repeat(600_000) });
      _df.track('Not To Be Read', { get price() { throw new Error('no price'); } });
      _df.identify('ada', loop);
      _df.context(loop);
      _df.track('Symbol', { kind: Symbol('a kind') });
      _df.unknown?.();
      _df('nothing of ours');
      _df.track('Last');
    });
    await this.gate.until((batches) => events(batches).some((event) => event.event === 'Last'));
    return this.report();
  }

  async closed() {
    const page = await this.visitor.context.newPage();
    await page.addInitScript(() => {
      window._df = { mine: true };
      Object.freeze(history);
      Storage.prototype.setItem = () => {
        throw new DOMException('no room', 'QuotaExceededError');
      };
    });
    await page.goto(`${this.site.url}/closed.html`);
    await page.evaluate(() => datafly.track('Seen Without Room'));
    await this.gate.until(has(2));
    const mine = await page.evaluate(() => _df.mine);
    const id = await page.evaluate(() => decodeURIComponent(document.cookie));
    await page.goto(`${this.site.url}/sandbox.html`);
    const [, frame] = page.frames();
    await frame.waitForFunction(() => window.datafly?.loaded);
    await frame.evaluate(() => datafly.track('Seen In A Sandbox'));
    await this.gate.until(has(4));
    return this.report({ mine, id });
  }

  async clobbered() {
    // The script finds no tag of its own, so the key is in its address; events go to the page's host.
    const page = await this.visitor.context.newPage();
    const asked = [];
    page.on('request', (request) => request.method() === 'POST' && asked.push(request.url()));
    const posted = page.waitForRequest((request) => request.method() === 'POST');
    await page.goto(`${this.site.url}/clobbered.html`);
    await page.evaluate(() => _df.flush());
    await posted;
    return this.report({ asked, host: this.site.url });
  }

  async again() {
    const page = await this.open();
    await this.gate.until(has(1));
    await page.evaluate(() => (window._df = { q: [['track', 'Held By A Second Stub']] }));
    await page.addScriptTag({ url: `${this.gate.url}/d.js` });
    await page.evaluate(() => _df.track('After The Second Script'));
    await page.evaluate(() => dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true })));
    await page.evaluate(() => {
      for (let number = 0; number < 150; number++) history.replaceState({}, '', `?at=${number}`);
    });
    await page.evaluate(() => _df.track('Last'));
    await this.gate.until((batches) => events(batches).some((event) => event.event === 'Last'));
    return this.report({ events: undefined });
  }

  async signals() {
    const page = await this.visitor.context.newPage();
    await page.addInitScript(() => {
      Object.defineProperty(Navigator.prototype, 'globalPrivacyControl', { get: () => true });
      window.__tcfapi = (command, version, listener) => (window.tell = (granted, eventStatus = 'useractioncomplete') => {
        const consents = Object.fromEntries(granted.map((purpose) => [purpose, true]));
        listener({ eventStatus, gdprApplies: true, purpose: { consents } }, true);
      });
    });
    const kept = () => page.evaluate(() => Object.keys(localStorage).length);
    await page.goto(`${this.site.url}/strict.html`);
    await page.evaluate(() => {
      tell([], 'cmpuishown');
      _df.track('Held');
    });
    const before = [this.gate.batches.length, await kept()];
    await page.evaluate(() => tell([1, 2, 7, 8, 9, 10]));
    await this.gate.until(has(2));
    this.gate.closed = { status: 503 };
    await page.evaluate(() => _df.track('Not Sent In Time'));
    await this.gate.until((batches) => batches.some((batch) => batch.status === 503));
    const waiting = await kept();
    await page.evaluate(() => tell([1]));
    const withdrawn = await kept();
    this.gate.closed = undefined;
    await page.evaluate(() => {
      _df.track('Seen After Withdrawal');
      dispatchEvent(new Event('online'));
      tell([1, 8, 9, 10]);
      _df.track('Granted Again');
    });
    await this.gate.until(has(3));
    return this.report({ before, waiting, withdrawn });
  }

  async early() {
    const page = await this.open('/early.html');
    await this.gate.until(has(3));
    await page.evaluate(() => shop('track', 'By The Chosen Name'));
    await page.evaluate(() => datafly.track('By The Other Name'));
    await this.gate.until(has(5));
    return this.report();
  }
}
