// The queue, live: readings that arrive become cards, worst first; two nurses share it; what is done to a card is done once.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { card, launch, live, signedIn, watch } from './browser.mjs';
import { Clinic, HENRIK, METTE, alertOf, api, person } from './clinic.mjs';
import { home } from './home.mjs';
import { until } from './programs.mjs';

const [one, two, three, four, five] = [person(1), person(2), person(3), person(4, { expected: true }), person(5)];
let clinic;
let browser;
let mette;
let henrik;
let watched;
let held; // what Mette opens is on its way until this is over
before(async () => {
  clinic = await Clinic.start([one, two, three, four, five]);
  browser = await launch();
  mette = await signedIn(browser, clinic, METTE);
  henrik = await signedIn(browser, clinic, HENRIK);
  watched = [mette, henrik].map((page) => watch(page, clinic.http));
  // From the start: a page that is open already goes on for a moment as before.
  await mette.route(/\/alerts\/[^/]+$/, async (route) => { await held; await route.continue(); });
});
after(async () => {
  await browser?.close();
  await clinic?.end();
});

const names = (page) => page.locator('li.card').evaluateAll((cards) => cards.map((each) => each.dataset.name));
const order = (page, wanted) => until(`the order ${wanted.map((who) => who.name)}`, async () => {
  const found = await names(page);
  return found.length === wanted.length && wanted.every((who, place) => who.name === found[place]);
});
// The text of an element, as it is read: a no-break space is a space.
const read = async (locator) => (await locator.innerText()).replace(/\s+/g, ' ').trim();
const kinds = (events) => events.map((event) => event.kind);

test('readings come in without reload: worst first, then longest waiting, each in words', async () => {
  await card(mette, four).waitFor();
  await mette.evaluate(() => { window.sameDocument = true; });
  await clinic.publish(one, { spo2: 87, pulse: 80 });
  await card(mette, one).waitFor();
  await clinic.publish(two, { spo2: 86, pulse: 80 });
  await card(mette, two).waitFor();
  await clinic.publish(three, { spo2: 84, pulse: 96 });
  await card(mette, three).waitFor();

  await order(mette, [three, one, two, four]);
  await order(henrik, [three, one, two, four]);
  assert.equal(await mette.evaluate(() => window.sameDocument), true, 'the page was not loaded again');

  const marks = await mette.locator('li.card').evaluateAll((cards) => cards.map((each) => each.dataset.mark));
  assert.deepEqual(marks, ['red', 'yellow', 'yellow', 'blue']);
  const words = await mette.locator('li.card .level').allInnerTexts();
  assert.deepEqual(words.map((word) => word.trim()), ['Red', 'Yellow', 'Yellow', 'Missing']);
  const shapes = await mette.locator('li.card .level svg').evaluateAll((drawn) => drawn.map((each) => each.innerHTML.trim()));
  assert.equal(new Set(shapes).size, 3, 'each colour has its own shape');
  await mette.locator('#n-waiting', { hasText: /^4$/ }).waitFor();
});

test('a card says what, why, how long, and draws the last days', async () => {
  const red = card(mette, three);
  assert.equal(await read(red.locator('.what')), 'SpO₂ 84 % red at 85 % or less');
  assert.equal(await read(card(mette, one).locator('.what')), 'SpO₂ 87 % yellow at 88 % or less');
  assert.match(await read(card(mette, four).locator('.what')), /^No measurement yet/);
  assert.match(await red.locator('.spark').getAttribute('aria-label'), /^SpO₂, the last 14 days: 84/);
  const { zones, points } = await red.locator('.spark').evaluate((svg) => ({
    zones: svg.querySelectorAll('.zone').length, points: svg.querySelector('.line').getAttribute('points'),
  }));
  assert.ok(zones > 0 && points.includes(','), `zones ${zones}, points ${points}`);
  assert.match(await read(red.locator('.wait b')), /^(now|\d+ min)$/);
  assert.match(await read(card(mette, four).locator('.wait b')), /^\d+ d( \d+ h)?$/);
});

test('acknowledged by a key, closed with a reason, and gone for both', async () => {
  await card(mette, three).getByRole('link').click();
  await mette.locator('#detail article', { hasText: three.name }).waitFor();
  const { id } = await alertOf(mette, three);
  await mette.keyboard.press('a');
  await mette.locator('#detail .has-it', { hasText: 'Mette L. has it' }).waitFor();
  await card(henrik, three).locator('.owner', { hasText: 'Mette L. has it' }).waitFor();

  await mette.keyboard.press('c');
  const dialog = mette.locator('#close-dialog');
  await dialog.waitFor();
  await dialog.getByLabel('Advice given').check();
  await dialog.getByLabel('Note').fill('Called; rests, measures again tonight.');
  await dialog.getByRole('button', { name: 'Close the alert' }).click();
  await mette.locator('#detail .ended', { hasText: /^Closed by Mette L\. .*advice given: Called; rests, measures again tonight\./ }).waitFor();
  await card(mette, three).waitFor({ state: 'detached' });
  await card(henrik, three).waitFor({ state: 'detached' });

  const alert = await api(mette, `/api/v1/alerts/${id}`);
  assert.deepEqual(kinds(alert.events), ['raised', 'acknowledged', 'closed']);
});

test('somebody with a stale card is told so, and it is done once', async () => {
  const [onMette, onHenrik] = watched;
  onHenrik.expect(/status of 409/);
  onHenrik.expect(/ERR_FAILED|ERR_INTERNET_DISCONNECTED/);
  await card(henrik, one).getByRole('link').click();
  await henrik.locator('#detail [data-key=a]').waitFor();
  const { id } = await alertOf(henrik, one);

  // Henrik's page hears nothing more: it says so, and its card grows stale.
  await henrik.route(/\/(events|queue\/cards)/, (route) => route.abort());
  await henrik.reload();
  await henrik.locator('header#top.not-live').waitFor();
  await card(mette, one).getByRole('link').click();
  await mette.locator('#detail article', { hasText: one.name }).waitFor();
  await mette.keyboard.press('a');
  await mette.locator('#detail .has-it').waitFor();

  await henrik.keyboard.press('a');
  await henrik.locator('#detail [role=alert]', { hasText: /^Not done: .*Mette L\. has it, since / }).waitFor();
  await henrik.locator('#detail .has-it', { hasText: 'Mette L. has it' }).waitFor();
  assert.deepEqual(kinds((await api(henrik, `/api/v1/alerts/${id}`)).events), ['raised', 'acknowledged']);
  await henrik.unroute(/\/(events|queue\/cards)/);
  await live(henrik);
  assert.deepEqual(onMette.faults, []);
});

test('a dialog that has grown stale says so while it is open', async () => {
  watched[1].expect(/status of 409/);
  await card(henrik, two).getByRole('link').click();
  await henrik.locator('#detail article', { hasText: two.name }).waitFor();
  await henrik.keyboard.press('c');
  await henrik.locator('#close-dialog').getByLabel('False alarm').check();

  await card(mette, two).getByRole('link').click();
  await mette.locator('#detail article', { hasText: two.name }).waitFor();
  const { id } = await alertOf(mette, two);
  await mette.keyboard.press('c');
  await mette.locator('#close-dialog').getByLabel('Admitted').check();
  await mette.locator('#close-dialog').getByRole('button', { name: 'Close the alert' }).click();
  await mette.locator('#detail .ended').waitFor();

  await henrik.locator('#close-dialog [role=alert]', { hasText: 'This alert has just changed.' }).waitFor();
  await henrik.locator('#close-dialog').getByRole('button', { name: 'Close the alert' }).click();
  await henrik.locator('#detail [role=alert]', { hasText: /^Not done: the alert has already ended\. Closed by Mette L\./ }).waitFor();
  const alert = await api(henrik, `/api/v1/alerts/${id}`);
  assert.deepEqual(kinds(alert.events), ['raised', 'closed']);
  assert.match(JSON.stringify(alert.state), /"admitted"/);
});

test('j and k walk the queue, / finds by name, ? lists the keys', async () => {
  await clinic.publish(five, { spo2: 86, pulse: 97 });
  await card(mette, five).waitFor();
  await mette.goto(clinic.http);
  await live(mette);
  await order(mette, [one, five, four]);
  await mette.locator('#detail article', { hasText: one.name }).waitFor(); // the first is open already
  for (const [key, who] of [['j', five], ['j', four], ['j', four], ['k', five], ['k', one]]) {
    await mette.keyboard.press(key);
    await mette.locator('#detail article', { hasText: who.name }).waitFor();
    await mette.locator(`li.card.selected[data-name="${who.name}"]`).waitFor();
  }
  await mette.keyboard.press('/');
  await mette.keyboard.type('four');
  await card(mette, one).waitFor({ state: 'hidden' });
  assert.equal(await card(mette, four).isVisible(), true);
  await mette.keyboard.press('Escape');
  await card(mette, one).waitFor();
  await mette.keyboard.press('?');
  await mette.getByRole('dialog', { name: 'Keys' }).waitFor();
  await mette.keyboard.press('Escape');
  await mette.getByRole('dialog', { name: 'Keys' }).waitFor({ state: 'hidden' });
});

test('a key never acts on the alert that is still shown while the chosen one is on its way', async () => {
  const sent = [];
  const note = (request) => { if (request.method() === 'POST') sent.push(request.url()); };
  mette.on('request', note);
  let release;
  held = new Promise((resolve) => { release = resolve; });
  await card(mette, five).getByRole('link').click();
  await mette.locator(`li.card.selected[data-name="${five.name}"]`).waitFor();
  await mette.keyboard.press('a');
  await mette.keyboard.press('c');
  assert.equal(await mette.locator('dialog[open]').count(), 0, 'no dialog about somebody else');
  release();
  await mette.locator('#detail article', { hasText: five.name }).waitFor();
  assert.deepEqual(sent, []);
  mette.off('request', note);
});

test('what arrives does not move the card under the pointer', async () => {
  const aim = card(mette, four);
  await aim.hover();
  const { y } = await aim.boundingBox();
  const shown = await mette.locator('#detail article').getAttribute('data-alert');
  await clinic.publish(two, { spo2: 82, pulse: 99 });
  await card(mette, two).waitFor({ state: 'attached' });
  await order(mette, [two, one, five, four]);
  assert.ok(Math.abs((await aim.boundingBox()).y - y) < 1, 'it stayed where it was');
  await mette.locator('#above', { hasText: '1 new above, red' }).click();
  assert.equal(await mette.locator('#detail article').getAttribute('data-alert'), shown, 'the click went to the button, to no card');
  assert.equal(await mette.locator('#list').evaluate((list) => list.scrollTop), 0);
});

test('from the finger to the nurse: a saturation over Bluetooth becomes a card', async () => {
  const oximeter = await home(clinic, three);
  await oximeter.measure(81, 118);
  await card(henrik, three).locator('.what', { hasText: 'SpO₂ 81 %' }).waitFor();
  assert.equal(await card(henrik, three).getAttribute('data-mark'), 'red');
});

test('nothing went wrong on the pages, and nobody else was asked for anything', () => {
  assert.deepEqual(watched.map(({ faults }) => faults), [[], []]);
});
