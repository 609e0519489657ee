// Node's ws against a node: node_ws.mjs ws://HOST:PORT http://HOST:PORT
//
// Run by the tests (engine/tests/all/clients.rs). Ends with 0 when everything held.

import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import path from 'node:path';

const WebSocket = createRequire(path.join(process.env.EPUSH_NODE_MODULES, 'x.js'))('ws');
const [NODE, API] = process.argv.slice(2);
const PATIENCE_MS = 20_000;

/** A client whose messages can be awaited one by one. */
class Client {
  #waiting = [];
  #queue = [];

  constructor(where, protocols, options) {
    this.socket = new WebSocket(NODE + where, protocols, options);
    this.closed = new Promise((resolve) => this.socket.on('close', (code) => resolve(code)));
    this.opened = new Promise((resolve, reject) => {
      this.socket.on('open', () => resolve(this));
      this.socket.on('error', reject);
    });
    this.socket.on('message', (data, isBinary) => {
      const message = isBinary ? data : data.toString();
      const waiter = this.#waiting.shift();
      if (waiter) waiter(message);
      else this.#queue.push(message);
    });
  }

  next() {
    if (this.#queue.length > 0) return Promise.resolve(this.#queue.shift());
    return within('a message', new Promise((resolve) => this.#waiting.push(resolve)));
  }

  async frame() {
    return JSON.parse(await this.next());
  }

  async ask(frame) {
    this.socket.send(JSON.stringify(frame));
    return this.frame();
  }
}

function within(what, promise) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not within ${PATIENCE_MS} ms: ${what}`)), PATIENCE_MS);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

async function api(method, where, body) {
  const response = await fetch(API + where, { method, body: body && JSON.stringify(body) });
  return response.json();
}

async function push(to, data) {
  return api('POST', '/v1/push', { to, data });
}

async function talksTheNativeProtocol() {
  const client = await new Client('/msg/42', ['other', 'epush.v1']).opened;
  assert.equal(client.socket.protocol, 'epush.v1');
  assert.equal((await client.frame()).user, '42');
  const guest = await new Client('/msg').opened;
  await guest.frame();
  for (const each of [client, guest]) {
    assert.deepEqual(await each.ask({ op: 'subscribe', id: 1, channel: 'news' }), { op: 'ok', id: 1, channel: 'news' });
  }
  assert.equal((await push({ channels: ['news'] }, { n: 1 })).local, 2);
  for (const each of [client, guest]) assert.deepEqual((await each.frame()).data, { n: 1 });
  const sent = await client.ask({ op: 'send', id: 2, users: ['42'], type: 'chat', data: 'to myself' });
  const other = await client.frame();
  assert.deepEqual([sent.op, other.op].sort(), ['message', 'ok']);

  const pong = new Promise((resolve) => client.socket.on('pong', (data) => resolve(data.toString())));
  client.socket.ping('abc');
  assert.equal(await within('a pong', pong), 'abc');

  await api('DELETE', '/v1/users/42');
  const goodbye = await client.frame();
  assert.deepEqual([goodbye.op, goodbye.code, goodbye.reconnect], ['goodbye', 4002, false]);
  assert.equal(await within('the close', client.closed), 4002);
  guest.socket.close(1000);
  assert.equal(await within('the close', guest.closed), 1000);
}

async function echoesEveryLength() {
  const client = await new Client('/echo', [], { perMessageDeflate: true }).opened;
  for (const length of [0, 1, 125, 126, 65_535, 65_536, 3_000_000]) {
    const text = 'x'.repeat(length);
    client.socket.send(text);
    assert.equal(await client.next(), text);
    const bytes = Buffer.alloc(length, 0xa5);
    client.socket.send(bytes);
    assert.deepEqual(await client.next(), bytes);
  }
  for (const part of ['in ', 'three ']) client.socket.send(part, { fin: false });
  client.socket.send('fragments', { fin: true });
  assert.equal(await client.next(), 'in three fragments');
  client.socket.terminate();
}

async function isRefusedWhereNothingIs() {
  await assert.rejects(new Client('/nowhere').opened, /404/);
}

async function manyAtOnceMissNothing() {
  const clients = await Promise.all(Array.from({ length: 300 }, () => new Client('/msg').opened));
  await Promise.all(clients.map((client) => client.frame()));
  for (let n = 0; n < 20; n += 1) await push({ all: true }, n);
  for (const client of clients) {
    for (let n = 0; n < 20; n += 1) assert.equal((await client.frame()).data, n);
  }
  for (const client of clients) client.socket.terminate();
}

await talksTheNativeProtocol();
await echoesEveryLength();
await isRefusedWhereNothingIs();
await manyAtOnceMissNothing();
