// A gate in front of the collector that a test can close: it answers what it is told to, or passes
// requests on and keeps what was in them.

import { createServer, request as ask } from 'node:http';

export class Gate {
  static async open(collector) {
    const gate = new Gate();
    /** Every batch that came, in its order: its status, its size, the ids of its messages. */
    gate.batches = [];
    /** What the gate answers by itself: `{ status, headers }`. */
    gate.closed = undefined;
    gate.server = createServer((request, response) => gate.pass(request, response, collector));
    await new Promise((listening) => gate.server.listen(0, '127.0.0.1', listening));
    gate.url = `http://127.0.0.1:${gate.server.address().port}`;
    return gate;
  }

  async pass(request, response, collector) {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const body = Buffer.concat(chunks);
    const isBatch = request.url.startsWith('/v1/batch');
    if (this.closed && isBatch) {
      this.note(body, this.closed.status);
      response.writeHead(this.closed.status, {
        'Access-Control-Allow-Origin': '*',
        'Access-Control-Expose-Headers': 'Retry-After',
        ...this.closed.headers,
      });
      response.end('{"success":false}');
      return;
    }
    const { method, headers, url } = request;
    const onward = ask(collector + url, { method, headers }, (answer) => {
      if (isBatch) this.note(body, answer.statusCode);
      response.writeHead(answer.statusCode, answer.headers);
      answer.pipe(response);
    });
    onward.on('error', () => response.destroy());
    onward.end(body);
  }

  note(body, status) {
    const { batch } = JSON.parse(body);
    this.batches.push({ status, bytes: body.length, ids: batch.map((event) => event.messageId), batch });
    this.changed?.();
  }

  /** Waits until what came satisfies a test. */
  async until(test) {
    while (!test(this.batches)) await new Promise((changed) => (this.changed = changed));
  }

  async close() {
    this.server.closeAllConnections();
    await new Promise((closed) => this.server.close(closed));
  }
}
