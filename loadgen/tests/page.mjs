// The result's page in a headless Chromium: page.mjs PAGE_URL CHARTS CHROMIUM
//
// Run by tests/page.rs. Ends with 0 when everything held. EPUSH_PAGE_PICTURES: a folder for pictures of the page.

import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import path from 'node:path';

const { chromium } = createRequire(path.join(process.env.EPUSH_NODE_MODULES, 'x.js'))('playwright-core');
const [PAGE, CHARTS, CHROMIUM] = process.argv.slice(2);

const browser = await chromium.launch({
  executablePath: CHROMIUM,
  // Without the last four, Chromium spends its start on look-ups of servers that have nothing to do with the page.
  args: [
    '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--disable-quic', '--no-first-run',
    '--disable-background-networking', '--disable-component-update', '--disable-sync',
  ],
});

// Opens the page, and watches all it complains about and asks for.
const open = async (options) => {
  const page = await (await browser.newContext(options)).newPage();
  page.setDefaultTimeout(20_000);
  const complaints = [];
  page.on('console', (message) => complaints.push(message.text()));
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('request', (request) => request.url() === PAGE || request.url().startsWith('data:') || complaints.push(request.url()));
  await page.goto(PAGE, { waitUntil: 'load' });
  return { page, complaints };
};

// Every chart is where it can be seen, and has lines with points in it; no text leaves its chart.
const charts = (page) => page.evaluate(() => [...document.querySelectorAll('svg.chart')].map((svg) => {
  const frame = svg.getBoundingClientRect();
  const outside = [...svg.querySelectorAll('text')].filter((text) => {
    const box = text.getBoundingClientRect();
    return box.left < frame.left - 1 || box.right > frame.right + 1 || box.top < frame.top - 1 || box.bottom > frame.bottom + 1;
  });
  return {
    title: svg.getAttribute('aria-label'),
    size: [frame.width, frame.height],
    lines: [...svg.querySelectorAll('path.line')].map((line) => line.getBBox()).map((box) => box.width + box.height),
    strokes: [...svg.querySelectorAll('path.line')].map((line) => getComputedStyle(line).stroke),
    outside: outside.map((text) => text.textContent),
  };
}));

const look = async (colorScheme, width, javaScriptEnabled) => {
  const { page, complaints } = await open({ colorScheme, javaScriptEnabled, viewport: { width, height: 900 } });
  if (!javaScriptEnabled) {
    assert.equal(await page.locator('svg.chart').count(), Number(CHARTS));
    assert.deepEqual(complaints, []);
    return;
  }
  const found = await charts(page);
  assert.equal(found.length, Number(CHARTS));
  for (const chart of found) {
    assert.ok(chart.size[0] > 200 && chart.size[1] > 100, `${chart.title} is ${chart.size}`);
    assert.ok(chart.lines.length > 0 && chart.lines.every((size) => size > 0), `${chart.title} has empty lines`);
    assert.ok(chart.strokes.every((stroke) => stroke.startsWith('rgb')), `${chart.title} has no colours`);
    assert.deepEqual(chart.outside, [], `${chart.title} has words outside of it`);
  }
  const overflow = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  assert.equal(overflow, 0, 'nothing is wider than the window');
  if (found.length > 0) {
    await page.locator('svg.chart .hit').first().hover();
    assert.match(await page.locator('#hover').innerText(), /percentile/);
    await page.mouse.move(0, 0);
  }
  assert.notEqual(await page.title(), 'owned');
  assert.deepEqual(complaints, []);
  if (process.env.EPUSH_PAGE_PICTURES) {
    const name = `${path.basename(PAGE)}-${colorScheme}-${width}.png`;
    await page.screenshot({ path: path.join(process.env.EPUSH_PAGE_PICTURES, name), fullPage: true });
  }
  return page.evaluate(() => getComputedStyle(document.body).backgroundColor);
};

try {
  const light = await look('light', 1280, true);
  const dark = await look('dark', 1280, true);
  assert.notEqual(light, dark);
  await look('light', 420, true);
  await look('light', 1280, false);
} finally {
  await browser.close();
}
