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
    Object.assign(visitor, { job, log: [] });
    visitor.browser = await chromium.launch({
      executablePath: job.chromium,
      headless: true,
      args: [...FLAGS, ...(job.flags ?? [])],
    });
    visitor.context = await visitor.another();
    return visitor;
  }

  /** Somebody else in the same browser: what the visitor has kept is not there. */
  async another() {
    const context = await this.browser.newContext(this.job.context ?? {});
    context.setDefaultTimeout(60_000);
    context.on('console', (message) => this.log.push(`console: ${message.text()}`));
    context.on('weberror', (error) => this.log.push(`error: ${error.error()}`));
    context.on('requestfailed', (request) =>
      this.log.push(`failed: ${request.method()} ${request.url()} ${request.failure()?.errorText}`));
    return context;
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
