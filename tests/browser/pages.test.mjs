// The other pages and what holds for all: both languages, curves with their limits, and no barrier that axe can find, in light and in dark.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { AxeBuilder } from '@axe-core/playwright';
import { card, launch, live, open, signedIn, watch } from './browser.mjs';
import { Clinic, METTE, person } from './clinic.mjs';
import { file, until } from './programs.mjs';

const WCAG = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'];

const [one, two, three] = [person(1), person(2), person(3, { expected: true })];
let clinic;
let browser;
let page;
let watched;
before(async () => {
  clinic = await Clinic.start([one, two, three]);
  browser = await launch();
  page = await signedIn(browser, clinic, METTE);
  watched = watch(page, clinic.http);
  for (const spo2 of [93, 84, 91]) await clinic.publish(one, { spo2, pulse: 96, temperature: 37.4, weight: 71.5 });
  await clinic.publish(two, { spo2: 87, pulse: 80 });
  await clinic.sent(clinic.send(two, 'this is not JSON'));
  for (const who of [one, two, three]) await card(page, who).waitFor();
});
after(async () => {
  await browser?.close();
  await clinic?.end();
});

// The words of a language that stand alone, without a value in them.
function words(language) {
  const lines = readFileSync(file(`crates/desk/locales/${language}.ftl`), 'utf8').split('\n');
  const plain = lines.map((line) => /^([a-z0-9_-]+) = ([^{%]+)$/.exec(line)).filter(Boolean);
  return new Map(plain.map(([, key, text]) => [key, text.trim()]));
}

// Every piece of text on a page that is shown or read out.
const texts = () => page.evaluate(() => {
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const found = [];
  while (walker.nextNode()) found.push(walker.currentNode.textContent);
  for (const name of ['aria-label', 'placeholder', 'title']) {
    found.push(...[...document.querySelectorAll(`[${name}]`)].map((element) => element.getAttribute(name)));
  }
  return found.map((text) => text.replace(/\s+/g, ' ').trim()).filter(Boolean);
});

test('the switch changes every word, and the page says which language it is in', async () => {
  const [english, danish] = [words('en'), words('da')];
  const differ = [...english].filter(([key, text]) => ![...danish.values()].includes(text) && danish.has(key));
  const only = new Set(differ.map(([, text]) => text));
  for (const at of ['/', '/patients', '/patients/p-1', '/patients/p-1/why-not', '/patients/p-1/readings', '/programmes', '/kits', '/quarantine']) {
    await page.goto(`${clinic.http}${at}`);
    assert.equal(await page.locator('html').getAttribute('lang'), 'en', at);
    assert.ok((await texts()).filter((text) => only.has(text)).length > 10, `${at}: it is in English`);

    await page.getByRole('button', { name: 'Dansk' }).click();
    await page.locator('html[lang=da]').waitFor({ state: 'attached' });
    assert.equal(new URL(page.url()).pathname, at, 'the same page again');
    await live(page);
    const left = (await texts()).filter((text) => only.has(text) || text.startsWith('SpO2'));
    assert.deepEqual(left, [], `${at}: English words on a Danish page`);
    if (at === '/') await danishQueue();

    await page.getByRole('button', { name: 'English' }).click();
    await page.locator('html[lang=en]').waitFor({ state: 'attached' });
  }
});

async function danishQueue() {
  const marks = await page.locator('li.card .level').allInnerTexts();
  assert.deepEqual(marks.map((mark) => mark.trim()), ['Rød', 'Gul', 'Mangler']);
  const what = (await card(page, one).locator('.what').innerText()).replace(/\s+/g, ' ');
  assert.match(what, /SpO₂ 84 % rød ved 85 % eller (derunder|mindre)/);
  assert.equal(await page.locator('#live-text').textContent(), 'Live');
}

test('a patient page draws each curve with its limits, and says them in words', async () => {
  await page.goto(`${clinic.http}/patients/p-1`);
  const curves = page.locator('figure[data-curve]');
  await until('every curve is drawn', async () => (await page.locator('figure[data-curve] .uplot canvas').count()) === 4);
  assert.equal(await curves.count(), 4);
  const saturation = page.locator('figure[data-label="SpO₂"]');
  assert.ok(await coloured(saturation) > 1000, 'the limits are drawn as coloured zones');
  assert.equal(await saturation.locator('.plot').getAttribute('aria-label'), 'SpO₂, the last 28 days, with limits');
  const limits = (await page.locator('dl.limits').innerText()).replace(/\s+/g, ' ');
  for (const said of [/red at 85 % or less/i, /red at 130 \/min or more/i]) assert.match(limits, said);
  await page.getByRole('heading', { name: 'Last sittings' }).waitFor();
  const newest = (await page.locator('table.sittings tbody tr').first().innerText()).replace(/\s+/g, ' ');
  assert.match(newest, / 84\? doubtful step Red 91 96 37\.4 71\.5/);
});

// Pixels of a drawing whose colour is not a grey.
const coloured = (figure) => figure.locator('canvas').evaluate((canvas) => {
  const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
  let found = 0;
  for (let at = 0; at < data.length; at += 4) {
    const [red, green, blue, alpha] = data.slice(at, at + 4);
    if (alpha > 200 && Math.max(red, green, blue) - Math.min(red, green, blue) > 12) found += 1;
  }
  return found;
});

// What axe finds, in one line each.
async function barriers(on, where) {
  const { violations, passes } = await new AxeBuilder({ page: on }).withTags(WCAG).analyze();
  assert.ok(passes.length > 5, `${where}: axe has looked at the page`);
  return violations.flatMap(({ id, nodes }) => nodes.map((node) => `${where}: ${id}: ${node.target} ${node.failureSummary}`));
}

const STOPS = [
  ['the queue with a card chosen', async () => {
    await page.goto(clinic.http);
    await card(page, one).getByRole('link').click();
    await page.locator('#detail article canvas').waitFor();
  }],
  ['the closing dialog', async () => {
    await page.keyboard.press('c');
    await page.locator('#close-dialog').waitFor();
  }],
  ['the keys', async () => {
    await page.goto(clinic.http);
    await page.keyboard.press('?');
    await page.locator('#keys').waitFor();
  }],
  ['patients', () => page.goto(`${clinic.http}/patients`)],
  ['a patient', async () => {
    await page.goto(`${clinic.http}/patients/p-1`);
    await page.locator('figure[data-curve] canvas').first().waitFor();
  }],
  ['kits', () => page.goto(`${clinic.http}/kits`)],
  ['quarantine', () => page.goto(`${clinic.http}/quarantine`)],
];

for (const colorScheme of ['light', 'dark']) {
  test(`axe finds no barrier in WCAG 2.2 AA, ${colorScheme}`, async () => {
    const door = await open(browser, { colorScheme });
    await door.goto(`${clinic.http}/sign-in`);
    const found = await barriers(door, 'sign-in');
    await door.context().close();
    await page.emulateMedia({ colorScheme });
    for (const [where, go] of STOPS) {
      await go();
      await live(page);
      found.push(...await barriers(page, where));
    }
    assert.deepEqual(found, []);
  });
}

test('axe finds no barrier on a page that is not live', async () => {
  await page.goto(clinic.http);
  clinic.hub.signal('SIGSTOP');
  const found = [];
  try {
    await page.locator('header#top.not-live').waitFor();
    for (const colorScheme of ['light', 'dark']) {
      await page.emulateMedia({ colorScheme });
      found.push(...await barriers(page, `not live, ${colorScheme}`));
    }
  } finally {
    clinic.hub.signal('SIGCONT');
  }
  await live(page);
  assert.deepEqual(found, []);
});

test('on a telephone nothing has to be scrolled sideways', async () => {
  await page.setViewportSize({ width: 390, height: 844 });
  for (const at of ['/', '/patients', '/patients/p-1', '/patients/p-1/why-not', '/patients/p-1/readings', '/programmes', '/kits', '/quarantine']) {
    await page.goto(`${clinic.http}${at}`);
    const { wide, room } = await page.evaluate(() => ({ wide: document.documentElement.scrollWidth, room: innerWidth }));
    assert.ok(wide <= room, `${at}: ${wide} px wide, ${room} px there are`);
  }
});

test('the policy allows no script and no style from elsewhere, and none of ours breaks it', async () => {
  const policy = (await page.request.get(`${clinic.http}/sign-in`)).headers()['content-security-policy'];
  assert.match(policy, /default-src 'none'/);
  assert.match(policy, /script-src 'self'(;|$)/);
  assert.match(policy, /style-src 'self'(;|$)/);
  assert.doesNotMatch(policy, /unsafe|https?:|\*/);
  assert.deepEqual(watched.faults, []);
});
