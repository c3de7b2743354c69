// Opens the pages of SDKs, each for a visitor of its own, and lets a quarter of an hour of their time
// pass in a few seconds, so that every retry that an SDK would make is made.

const MINUTES = 15;
const STEP = 5_000;
/** The paths to which the SDKs send events. */
const EVENTS = /\/(v1\/(t|b|track|batch)|beacon\/v1\/batch|track|interact|collect)\/?(\?|$)/;

export default async function stress({ job, site, visitor }) {
  await Promise.all(Object.keys(job.storms).map((sdk) => storm(job, site, visitor, sdk)));
}

async function storm({ unreachable }, site, visitor, sdk) {
  const page = await (await visitor.another()).newPage();
  const open = new Set();
  page.on('request', (request) => open.add(request));
  for (const end of ['requestfinished', 'requestfailed']) {
    page.on(end, (request) => {
      open.delete(request);
      if (!open.size) page.emit('quiet');
    });
  }
  let failing = unreachable;
  await page.route(EVENTS, (route) => (failing-- > 0 ? route.abort('connectionrefused') : route.fallback()));
  await page.clock.install();
  await page.goto(`${site.url}/stress-${sdk}.html`);
  for (let time = 0; time < MINUTES * 60_000; time += STEP) {
    await page.clock.runFor(STEP);
    if (open.size) await new Promise((quiet) => page.once('quiet', quiet));
  }
}
