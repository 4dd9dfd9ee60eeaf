// The claim to be live: a hub that hangs, dies or can't store makes every open page say so within seconds, and afterwards nothing is lost.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { card, launch, live, notLive, signedIn, watch } from './browser.mjs';
import { Clinic, METTE, alertOf, message, person } from './clinic.mjs';

// The promise is 5 s; a busy test machine gets twice that, and the measured time is printed.
const NOT_LIVE_WITHIN_MS = 10_000;

const [one, two, three] = [person(1), person(2), person(3)];
let clinic;
let browser;
let page;
let watched;
before(async () => {
  clinic = await Clinic.start([one, two, three]);
  browser = await launch();
  page = await signedIn(browser, clinic, METTE);
  watched = watch(page, clinic.http);
  await page.evaluate(() => { window.sameDocument = true; });
});
after(async () => {
  await browser?.close();
  await clinic?.end();
});

const text = () => page.locator('#live-text').textContent();

// Does this, and measures how long the page goes on claiming to be live.
async function turnsNotLive(t, what, cause) {
  const start = Date.now();
  await cause();
  await notLive(page);
  const took = Date.now() - start;
  t.diagnostic(`${what}: not live after ${(took / 1000).toFixed(1)} s`);
  assert.ok(took < NOT_LIVE_WITHIN_MS, `${what}: not live after ${took} ms, at most ${NOT_LIVE_WITHIN_MS} are taken`);
}

test('a hub that hangs', async (t) => {
  await turnsNotLive(t, 'SIGSTOP', () => clinic.hub.signal('SIGSTOP'));
  assert.match(await text(), /^Not live since \d\d[.:]\d\d[.:]\d\d$/);
  clinic.hub.signal('SIGCONT');
  await live(page);
  assert.equal(await text(), 'Live');
});

test('a hub that dies and comes back', async (t) => {
  watched.expect(/ERR_CONNECTION_REFUSED|ERR_INCOMPLETE_CHUNKED_ENCODING|ERR_CONNECTION_RESET|ERR_EMPTY_RESPONSE/);
  watched.expect(/htmx:(sendError|afterRequest)/);
  await clinic.publish(one, { spo2: 84, pulse: 90 });
  await card(page, one).waitFor();
  const before = await alertOf(page, one);
  await card(page, one).getByRole('link').click();
  await page.locator('#detail article', { hasText: one.name }).waitFor();
  await turnsNotLive(t, 'kill -9', () => clinic.hub.kill());
  await page.keyboard.press('a');
  await page.locator('#detail [role=alert]', { hasText: /^Not done: the clinic's server could not be reached\./ }).waitFor();

  await clinic.serve();
  await live(page);
  assert.equal(await page.evaluate(() => window.sameDocument), true, 'by itself, without a reload');
  assert.deepEqual(await alertOf(page, one), before, 'the alert is as it was');
  await clinic.publish(two, { spo2: 83, pulse: 90 });
  await card(page, two).waitFor();
  await card(page, one).waitFor();
  assert.deepEqual(await page.locator('li.card').evaluateAll((cards) => cards.map((each) => each.dataset.name)), [one.name, two.name]);
});

test('a store that is stuck', async (t) => {
  const lock = await clinic.stuckStore();
  const publisher = clinic.send(three, message(1, { spo2: 82, pulse: 90 }));
  await turnsNotLive(t, 'a stuck store', () => {});
  assert.match(await text(), /^Not live: the core has not taken in readings since \d\d[.:]\d\d[.:]\d\d \(.+\)$/);
  assert.equal(await card(page, three).count(), 0, 'nothing is shown that is not stored');
  assert.equal(publisher.child.exitCode, null, 'and nothing acknowledged');

  await lock.release();
  await live(page);
  await clinic.sent(publisher);
  await card(page, three).waitFor();
});

test('what goes to quarantine is seen on a page that was open before', async () => {
  const link = page.locator('#to-quarantine');
  assert.equal(await link.isVisible(), false);
  await clinic.sent(clinic.send(one, 'this is no message'));
  await link.waitFor();
  assert.match(await link.textContent(), /1$/);
});

test('nothing else went wrong on the page', () => {
  assert.deepEqual(watched.faults, []);
});
