// The kit's page by itself, with one view of every kind (crates/edge/examples/kiosk): no barrier that axe can find, room for every word on a small
// screen and at 200 %, two languages, fingers, scanners, and a browser without scripts.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { AxeBuilder } from '@axe-core/playwright';
import { launch, open, watch } from './browser.mjs';
import { Running, example } from './programs.mjs';

const WCAG = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'];
const LARGE = { width: 1280, height: 800 };
// A large screen at 200 %, a small touch screen, and one that is zoomed to 400 %.
const SMALL = [{ width: 640, height: 400 }, { width: 800, height: 480 }, { width: 320, height: 256 }];
const TOUCH_MIN = 44;
const SETTLED_MS = 450;

let folder;
let gallery;
let ready;
let browser;
before(async () => {
  folder = mkdtempSync(path.join(os.tmpdir(), 'vagt-kiosk-'));
  gallery = new Running(example('kiosk'), [], { log: path.join(folder, 'kiosk.log') });
  ready = await gallery.json((line) => line.ready);
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await gallery?.kill();
  rmSync(folder, { recursive: true, force: true });
});

// Shows a view, and waits until it is on the page: its screen's key comes with it.
async function show(page, name) {
  gallery.tell(name);
  const { key } = await gallery.json((line) => line.shown === name);
  await page.locator(`#stage[data-key="${key}"]`).waitFor();
  await page.evaluate(() => new Promise((done) => { requestAnimationFrame(() => requestAnimationFrame(done)); }));
}

async function opened(language, options) {
  const page = await open(browser, { viewport: LARGE, ...options });
  const watched = watch(page, ready.http);
  await page.goto(ready.http);
  if (language === 'en') {
    await page.getByRole('button', { name: 'English' }).click();
    await page.locator('html[lang=en]').waitFor({ state: 'attached' });
  }
  return { page, watched };
}

// The advices differ in words alone.
const distinct = () => ready.views.filter((name) => !name.startsWith('advice-') || name === 'advice-warm-finger');

for (const [language, colorScheme] of [['da', 'light'], ['en', 'dark']]) {
  test(`no barrier that axe can find on any view (${language}, ${colorScheme})`, async () => {
    const { page, watched } = await opened(language, { colorScheme });
    for (const name of distinct()) {
      await show(page, name);
      const { violations } = await new AxeBuilder({ page }).withTags(WCAG).analyze();
      assert.deepEqual(violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html)}`), [], name);
    }
    assert.deepEqual(watched.faults, []);
    await page.context().close();
  });
}

// What does not fit, is hidden under the foot when it has the focus, or is too small for a finger.
const misfits = (least) => {
  const wrong = [];
  if (document.documentElement.scrollWidth > innerWidth) wrong.push(`${document.documentElement.scrollWidth} px wide`);
  const foot = document.getElementById('foot').getBoundingClientRect();
  if (innerHeight > 340 && Math.round(foot.bottom) > innerHeight) wrong.push('the foot is not on the screen');
  for (const element of document.querySelectorAll('button, input[type=text], textarea')) {
    element.focus();
    const { width, height, top, bottom, left, right } = element.getBoundingClientRect();
    if (Math.min(width, height) < least) wrong.push(`${element.innerText}: ${width} by ${height}`);
    if (left < 0 || right > innerWidth || top < 0 || bottom > innerHeight) wrong.push(`${element.innerText}: beyond the edge`);
    const under = document.elementFromPoint((left + right) / 2, (top + bottom) / 2);
    if (!element.contains(under)) wrong.push(`${element.innerText}: under ${under?.outerHTML.slice(0, 60)}`);
  }
  for (const element of document.querySelectorAll('h1, p, dd, dt, button, .v b, .v span')) {
    const clipped = element.scrollWidth > element.clientWidth + 1 && !['inline', 'inline-flex'].includes(getComputedStyle(element).display);
    if (clipped && !element.closest('.unseen')) wrong.push(`${element.innerText}: cut off`);
  }
  return wrong;
};

test('every word fits, and everything can be reached and pressed: at 200 %, on a small touch screen, at 400 %', async () => {
  const { page } = await opened('da', {});
  for (const language of ['da', 'en']) {
    if (language === 'en') { await page.getByRole('button', { name: 'English' }).click(); await page.locator('html[lang=en]').waitFor({ state: 'attached' }); }
    for (const name of ready.views) {
      await show(page, name);
      for (const size of [LARGE, ...SMALL]) {
        await page.setViewportSize(size);
        assert.deepEqual(await page.evaluate(misfits, TOUCH_MIN), [], `${name} in ${language} at ${size.width} by ${size.height}`);
      }
    }
  }
  await page.context().close();
});

test('a large screen needs no scrolling for any view but one full of notes', async () => {
  const { page } = await opened('da', {});
  for (const name of ready.views.filter((view) => view !== 'every-note')) {
    await show(page, name);
    const [tall, room] = await page.evaluate(() => [document.documentElement.scrollHeight, innerHeight]);
    assert.ok(tall <= room, `${name}: ${tall} px of ${room}`);
  }
  await page.context().close();
});

test('who wants less motion gets none', async () => {
  const { page } = await opened('da', { reducedMotion: 'reduce' });
  await show(page, 'measuring-unknown');
  assert.equal(await page.evaluate(() => document.getAnimations().length), 0);
  await page.context().close();
});

test('a screen that changes is read out from its heading, and a value that runs keeps the focus where it is', async () => {
  const { page } = await opened('da', {});
  const focused = () => page.evaluate(() => document.activeElement.innerText.trim());
  await show(page, 'rest');
  await show(page, 'measure-oximeter');
  assert.equal(await focused(), 'Mål din ilt og puls');
  await page.getByRole('button', { name: 'Ring mig op' }).focus();
  await show(page, 'measuring');
  await show(page, 'measuring-poor');
  assert.equal(await focused(), 'Ring mig op');
  await show(page, 'call-sent');
  assert.equal(await focused(), 'Bedt om opkald', 'the button is the same');
  await page.context().close();
});

test('a tap that was meant for the screen before does nothing', async () => {
  const { page } = await opened('da', { hasTouch: true });
  await show(page, 'rest');
  await show(page, 'hold-weight');
  const yes = await page.getByRole('button', { name: 'Ja, det var mig' }).boundingBox();
  await show(page, 'rest');
  gallery.tell('hold-weight');
  await page.locator('#stage[data-key="hold-3"]').waitFor();
  await page.touchscreen.tap(yes.x + yes.width / 2, yes.y + yes.height / 2);
  await new Promise((done) => { setTimeout(done, SETTLED_MS); });
  await page.touchscreen.tap(yes.x + yes.width / 2, yes.y + yes.height / 2);
  const pressed = await gallery.json((line) => line.pressed);
  assert.deepEqual(pressed, { pressed: { action: 'mine', id: 3 } });
  await show(page, 'rest'); // what was pressed twice would have been said before this
  await page.context().close();
});

test('a scanner types like a keyboard, wherever the focus is, and ends with Enter', async () => {
  const { page } = await opened('da', {});
  await show(page, 'choose');
  await page.getByRole('button', { name: 'English' }).focus();
  await page.keyboard.type('A12-345');
  await page.keyboard.press('Enter');
  assert.deepEqual(await gallery.json((line) => line.pressed), { pressed: { action: 'choose', code: 'A12-345' } });
  await page.waitForFunction(() => document.getElementById('field').value === '');
  await page.keyboard.type('0000');
  await page.keyboard.press('Enter');
  await page.getByText('Koden kendes ikke. Prøv igen.').waitFor();
  await page.context().close();
});

test('a number is typed as it is said, and one that can\'t be taken says why', async () => {
  const { page, watched } = await opened('da', {});
  watched.expect(/status of 422/);
  await show(page, 'rest');
  await show(page, 'question-number');
  const field = page.getByRole('textbox', { name: 'Et tal fra 34,0 til 42,0 grader' });
  assert.equal(await field.inputValue(), '37,5');
  await field.fill('99,5');
  await page.keyboard.press('Enter');
  await page.locator('#refused', { hasText: 'Et tal fra 34,0 til 42,0' }).waitFor();
  assert.equal(await field.inputValue(), '99,5', 'what was typed stays');
  await field.fill('38,2');
  await new Promise((done) => { setTimeout(done, SETTLED_MS); });
  await page.getByRole('button', { name: 'Videre' }).click();
  const pressed = await gallery.json((line) => line.pressed?.answer === '38.2');
  assert.equal(pressed.pressed.question, 'temperature');
  assert.deepEqual(watched.faults, []);
  await page.context().close();
});

test('without scripts the page works by its forms', async () => {
  const { page } = await opened('da', { javaScriptEnabled: false });
  gallery.tell('question-choice');
  await gallery.json((line) => line.shown === 'question-choice');
  await page.goto(ready.http);
  await page.getByRole('button', { name: 'En del' }).click();
  const { pressed } = await gallery.json((line) => line.pressed);
  assert.equal(pressed.answer, 'somewhat');
  assert.equal(page.url(), `${ready.http}/`);
  gallery.tell('rest');
  await gallery.json((line) => line.shown === 'rest');
  await page.goto(ready.http);
  assert.equal(await page.locator('meta[http-equiv=refresh]').count(), 1, 'and comes anew by itself where nothing is typed');
  await page.context().close();
});
