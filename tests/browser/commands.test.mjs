// Asking a kit from the patient's page: the measurement and the message go out, and what became of them stands there.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import { AxeBuilder } from '@axe-core/playwright';
import { launch, signedIn } from './browser.mjs';
import { Clinic, METTE, person } from './clinic.mjs';
import { until } from './programs.mjs';

const who = person(1);
let clinic;
let browser;
let page;
before(async () => {
  clinic = await Clinic.start([who]);
  browser = await launch();
  page = await signedIn(browser, clinic, METTE);
});
after(async () => {
  await browser?.close();
  await clinic?.end();
});

// The kit says what became of the newest command.
async function receives(outcome) {
  const [newest] = await page.evaluate(async () => (await fetch('/api/v1/kits/kit-1/commands')).json());
  who.seq += 1;
  const at = new Date().toISOString();
  const receipts = [{ command: newest.id, outcome, at }];
  await clinic.sent(clinic.send(who, JSON.stringify({ seq: who.seq, sent_at: at, session: randomUUID(), receipts })));
}

const lines = () => page.locator('.commands li');

test('a message is sent with the keyboard alone, and is shown as read when the person has read it', async () => {
  await page.goto(`${clinic.http}/patients/p-1`);
  await page.getByLabel(/^Message/).focus();
  await page.keyboard.type('We call you at ten.');
  await page.keyboard.press('Tab');
  await page.keyboard.press('Enter');
  await lines().filter({ hasText: 'waits for the kit' }).filter({ hasText: 'We call you at ten.' }).waitFor();
  assert.ok(page.url().endsWith('/patients/p-1#commands'));
  await receives('read');
  await until('the receipt is on the page', async () => {
    await page.reload();
    return /read today \d\d:\d\d/.test(await lines().first().innerText());
  });
});

test('a new measurement is asked for with a reason', async () => {
  await page.goto(`${clinic.http}/patients/p-1`);
  await page.getByLabel('Measure again').selectOption('spo2');
  await page.getByRole('textbox', { name: 'Why (the person sees it)' }).fill('Warm the finger first');
  await page.getByRole('button', { name: 'Ask for a new measurement' }).click();
  const line = lines().filter({ hasText: 'Warm the finger first' });
  await line.filter({ hasText: 'waits for the kit' }).waitFor();
  assert.equal(await lines().count(), 2);
  const { violations } = await new AxeBuilder({ page }).withTags(['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa']).analyze();
  assert.deepEqual(violations.map(({ id, nodes }) => [id, nodes.map((node) => node.html)]), []);
});
