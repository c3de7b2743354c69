// Opens a page while the collector has too much to do: the first calls of a path are answered as it
// does then, and what comes after them reaches it. Gives the page's report and which calls went out
// with which answer.

export default async function overloaded({ job, site, visitor }) {
  let left = job.refusals;
  await visitor.context.route(`https://${job.edge}${job.path}*`, async (route) => {
    if (route.request().method() !== 'POST' || left === 0) return route.continue();
    left -= 1;
    const headers = {
      'Access-Control-Allow-Origin': site.url,
      'Access-Control-Allow-Credentials': 'true',
      'Access-Control-Expose-Headers': 'Retry-After, x-adobe-edge',
      'Retry-After': '1',
    };
    return route.fulfill({ status: 503, headers, contentType: 'application/problem+json', body: '{}' });
  });
  const calls = [];
  visitor.context.on('response', (response) => {
    const request = response.request();
    if (request.method() === 'POST') calls.push([new URL(request.url()).pathname, response.status()]);
  });
  const page = await visitor.open(`${site.url}/${job.page}.html`);
  const reported = await page.waitForFunction(() => window.report);
  const report = await reported.jsonValue();
  return { ...report, calls };
}
