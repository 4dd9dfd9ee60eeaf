// Signing in: who may come in, what is said to who may not, and a cookie that no script and no other site can use.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { fillIn, launch, open, watch } from './browser.mjs';
import { Clinic, METTE, person } from './clinic.mjs';

let clinic;
let browser;
before(async () => {
  clinic = await Clinic.start([person(1)]);
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await clinic?.end();
});

test('every page sends to sign-in, and the API and the events say it as a problem', async () => {
  const page = await open(browser);
  for (const at of ['/', '/patients', '/patients/p-1', '/kits', '/quarantine', '/queue/cards']) {
    await page.goto(`${clinic.http}${at}`);
    assert.equal(new URL(page.url()).pathname, '/sign-in', at);
  }
  for (const at of ['/api/v1/alerts', '/events']) {
    const answer = await page.request.get(`${clinic.http}${at}`);
    assert.equal(answer.status(), 401, at);
    assert.match(answer.headers()['content-type'], /^application\/problem\+json/, at);
  }
});

test('a wrong password says so and lets nobody in', async () => {
  const page = await open(browser);
  const watched = watch(page, clinic.http);
  watched.expect(/status of 401/);
  await fillIn(page, clinic.http, { ...METTE, password: 'a guess' });
  const notice = page.getByRole('alert');
  assert.equal(await notice.textContent(), 'The user name or the password is wrong.');
  assert.equal(await page.getByLabel('User name').inputValue(), METTE.user);
  await page.goto(clinic.http);
  assert.equal(new URL(page.url()).pathname, '/sign-in');
  assert.deepEqual(watched.faults, []);
});

test('the right one leads to the queue, and signing out ends it', async () => {
  const page = await open(browser);
  const watched = watch(page, clinic.http);
  await fillIn(page, clinic.http, METTE);
  await page.getByRole('heading', { name: 'Waiting for someone' }).waitFor();
  assert.equal(new URL(page.url()).pathname, '/');

  const cookies = await page.context().cookies();
  const session = cookies.find((cookie) => cookie.name === 'vagt_session');
  assert.equal(session.httpOnly, true);
  assert.equal(session.sameSite, 'Strict');
  assert.equal(await page.evaluate(() => document.cookie), '');

  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.getByLabel('User name').waitFor();
  await page.context().addCookies([session]);
  await page.goto(clinic.http);
  assert.equal(new URL(page.url()).pathname, '/sign-in', 'the old cookie is worth nothing');
  assert.deepEqual(watched.faults, []);
});

test('an open queue whose session has ended goes to sign-in by itself', async () => {
  const left = await open(browser);
  await fillIn(left, clinic.http, METTE);
  await left.locator('#cards').waitFor({ state: 'attached' });
  const other = await left.context().newPage();
  await other.goto(clinic.http);
  await other.getByRole('button', { name: 'Sign out' }).click();
  await left.waitForURL('**/sign-in');
});
