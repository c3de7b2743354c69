// The page of the documentation: only the address and the key are other ones.

export default async function documented({ job, site, visitor }) {
  const { collector, key } = job;
  site.html = job.html.replaceAll('https://collect.example.com', collector).replaceAll('WRITE_KEY', key);
  const page = await visitor.open(`${site.url}/mugs`);
  await page.waitForFunction(() => window.datafly?.loaded);
  await page.getByText('Add').click();
  await page.getByText('Sign in').click();
}
