// Opens the page of an SDK, closes it, and opens it again in the same browser: two visits of one
// visitor. Gives what the page reports each time, and which requests went out.

export default async function twice({ job, site, visitor }) {
  const requests = [];
  visitor.context.on('request', (request) => {
    if (request.method() === 'POST') requests.push(new URL(request.url()).pathname);
  });
  const visits = [];
  for (let visit = 0; visit < 2; visit += 1) {
    const page = await visitor.open(`${site.url}/${job.page}.html`);
    const reported = await page.waitForFunction(() => window.report);
    visits.push(await reported.jsonValue());
    await page.close();
  }
  return { visits, requests };
}
