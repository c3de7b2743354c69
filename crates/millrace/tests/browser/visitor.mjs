// Somebody with a browser: Debian's Chromium, headless, with a profile that is thrown away.

import { chromium } from 'playwright-core';

/** A browser that asks nobody but the pages of the test. */
const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--disable-dev-shm-usage',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

export class Visitor {
  static async arrive(job) {
    const visitor = new Visitor();
    visitor.log = [];
    visitor.browser = await chromium.launch({
      executablePath: job.chromium,
      headless: true,
      args: [...FLAGS, ...(job.flags ?? [])],
    });
    visitor.context = await visitor.browser.newContext(job.context ?? {});
    visitor.context.setDefaultTimeout(60_000);
    visitor.context.on('console', (message) => visitor.log.push(`console: ${message.text()}`));
    visitor.context.on('weberror', (error) => visitor.log.push(`error: ${error.error()}`));
    visitor.context.on('requestfailed', (request) =>
      visitor.log.push(`failed: ${request.method()} ${request.url()} ${request.failure()?.errorText}`));
    return visitor;
  }

  /** A new tab at this address. */
  async open(url) {
    const page = await this.context.newPage();
    await page.goto(url);
    return page;
  }

  async leave() {
    await this.browser.close();
  }
}
