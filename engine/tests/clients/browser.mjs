// A headless Chromium whose page uses the browser's own WebSocket:
// browser.mjs PAGE_URL ws://HOST:PORT http://HOST:PORT CHROMIUM
//
// Run by the tests (engine/tests/all/clients.rs). Ends with 0 when everything held.

import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import path from 'node:path';

const { chromium } = createRequire(path.join(process.env.EPUSH_NODE_MODULES, 'x.js'))('playwright-core');
const [PAGE, NODE, API, CHROMIUM] = process.argv.slice(2);

const browser = await chromium.launch({
  executablePath: CHROMIUM,
  // Without the last four, Chromium spends its start on look-ups of servers that have nothing to do with the page.
  args: [
    '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--disable-quic', '--no-first-run',
    '--disable-background-networking', '--disable-component-update', '--disable-sync',
  ],
});
try {
  const page = await browser.newPage();
  page.setDefaultTimeout(20_000);
  await page.goto(PAGE);
  const shows = (id, text) =>
    page.waitForFunction(([id, text]) => document.getElementById(id).textContent === text, [id, text]);

  await page.evaluate((url) => window.open_socket(url), NODE + '/msg/42');
  await shows('state', 'welcome 42');
  await shows('subscribed', 'news');

  const push = async (to, data) => {
    const response = await fetch(API + '/v1/push', { method: 'POST', body: JSON.stringify({ to, data }) });
    assert.equal(response.status, 202);
    return response.json();
  };
  assert.equal((await push({ channels: ['news'] }, 'extra, extra: ü')).local, 1);
  await shows('message', 'extra, extra: ü');
  await push({ users: ['42'] }, 'for you');
  await shows('message', 'for you');

  await fetch(API + '/v1/users/42', { method: 'DELETE' });
  await shows('state', 'closed 4002');

  assert.equal(await page.evaluate((url) => window.echo(url), NODE + '/echo'), true);
} finally {
  await browser.close();
}
