// The web site of the tests: pages that hold an SDK, on a port of their own on loopback.
//
// `/NAME.html` is `pages/NAME.html` if there is one, else an empty page with the script
// `/NAME.js`, which is `pages/NAME.mjs` with the packages that it imports. In pages of HTML the
// words `{{collector}}` and `{{key}}` are replaced from the job.

import { existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { build } from 'esbuild';

const file = (name) => new URL(`./pages/${name}`, import.meta.url).pathname;
const escaped = (value) => JSON.stringify(value).replaceAll('<', '\\u003c');

export class Site {
  /** Begins to serve. */
  static async open(job) {
    const site = new Site();
    site.job = job;
    site.server = createServer((request, response) => {
      site.answer(new URL(request.url, 'http://site').pathname).then(
        ([status, type, body]) => {
          response.writeHead(status, { 'Content-Type': `${type}; charset=utf-8` }).end(body);
        },
        (error) => response.writeHead(500).end(String(error)),
      );
    });
    await new Promise((listening) => site.server.listen(0, '127.0.0.1', listening));
    site.url = `http://127.0.0.1:${site.server.address().port}`;
    return site;
  }

  async answer(path) {
    const script = /^\/([a-z-]+)\.js$/.exec(path)?.[1];
    if (script) return [200, 'text/javascript', await bundle(script)];
    if (this.html && path === '/mugs') return [200, 'text/html', this.html];
    // A site that navigates in the browser has one page for all its paths.
    const name = /^\/([a-z-]+)\.html$/.exec(path)?.[1] ?? 'shop';
    if (existsSync(file(`${name}.html`))) {
      const { collector, key } = this.job;
      const page = readFileSync(file(`${name}.html`), 'utf8');
      return [200, 'text/html', page.replaceAll('{{collector}}', collector).replaceAll('{{key}}', key)];
    }
    if (!existsSync(file(`${name}.mjs`))) return [404, 'text/plain', 'no such page'];
    const page = `<!doctype html><title>Mugs</title>
<script>window.job = ${escaped(this.job)};</script>
<script src="/${name}.js"></script>`;
    return [200, 'text/html', page];
  }

  async close() {
    this.server.closeAllConnections();
    await new Promise((closed) => this.server.close(closed));
  }
}

async function bundle(name) {
  const { outputFiles } = await build({
    entryPoints: [file(`${name}.mjs`)],
    bundle: true,
    format: 'iife',
    target: 'es2022',
    write: false,
    logLevel: 'silent',
  });
  return outputFiles[0].text;
}
