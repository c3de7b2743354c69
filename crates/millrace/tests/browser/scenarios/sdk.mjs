// Opens the page of an SDK, which makes its calls, and gives what the page reports.

export default async function sdk({ job, site, visitor }) {
  const page = await visitor.open(`${site.url}/${job.page}.html`);
  const reported = await page.waitForFunction(() => window.report);
  return reported.jsonValue();
}
