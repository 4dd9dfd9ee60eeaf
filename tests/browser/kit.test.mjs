// The kit's page on the real kit: a whole round with simulated devices, the clinic on the other side, and everything that can go away.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { AxeBuilder } from '@axe-core/playwright';
import { launch, open, signedIn, watch } from './browser.mjs';
import { Clinic, METTE, alertOf, api, person } from './clinic.mjs';
import { home } from './home.mjs';
import { until } from './programs.mjs';

const one = person(1);
const ROUND = `person = "Inger"
[[round]]
at = "00:00"
vitals = ["spo2", "temperature"]
questionnaires = ["copd-daily"]
`;

let clinic;
let kit;
let browser;
let page;
let nurse;
let watched;
before(async () => {
  clinic = await Clinic.start([one]);
  kit = await home(clinic, one, { devices: ['oximeter', 'thermometer', 'nonin'], kiosk: true, config: ROUND });
  browser = await launch();
  page = await open(browser, { viewport: { width: 1280, height: 800 } });
  watched = watch(page, kit.kiosk);
  await page.goto(kit.kiosk);
  nurse = await signedIn(browser, clinic, METTE);
});
after(async () => {
  await browser?.close();
  await clinic?.end();
});

const heading = (text) => page.getByRole('heading', { level: 1, name: text }).waitFor().catch(async (error) => {
  throw new Error(`${error.message}\nthe page says: ${await page.locator('body').innerText()}\n${kit.log()}`);
});
// A person looks first: a tap within the page's settling time after a change is meant for what was there before.
const LOOK_MS = 500;
const press = async (name) => {
  const button = page.getByRole('button', { name });
  await button.waitFor();
  await sleep(LOOK_MS);
  await button.click();
};
const foot = () => page.locator('#foot .what').textContent();

async function noBarrier(name) {
  const { violations } = await new AxeBuilder({ page }).withTags(['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa']).analyze();
  assert.deepEqual(violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html)}`), [], name);
}

// What the nurse asks of the kit, and what became of what she asked.
async function ask(body) {
  const token = await nurse.locator('body').getAttribute('data-csrf');
  const at = new URL(`/api/v1/kits/${one.kit}/commands`, nurse.url()).href;
  const answer = await nurse.request.post(at, { data: body, headers: { 'x-csrf-token': token } });
  assert.ok(answer.ok(), await answer.text());
}
const asked = () => api(nurse, `/api/v1/kits/${one.kit}/commands`);

test('it says what to measure, shows the measurement as it comes, and its colour once the clinic has judged it', async (t) => {
  await heading('Mål din ilt og puls');
  await page.locator('header b', { hasText: 'Inger' }).waitFor();
  await noBarrier('measure');
  const start = Date.now();
  await kit.tell({ measure: 'nonin', spo2: 93, pulse: 72 });
  await page.locator('.ring .v', { hasText: 'måler …' }).locator('b', { hasText: /^9\d$/ }).waitFor();
  t.diagnostic(`the first value is on the page after ${((Date.now() - start) / 1000).toFixed(1)} s`);
  await noBarrier('measuring');
  await heading('Tak, det er målt');
  await page.locator('.mark.green', { hasText: 'Grøn.' }).waitFor();
  await page.locator('dl.values', { hasText: 'slag i minuttet' }).waitFor();
  assert.match(await foot(), /^Sendt til klinikken kl\. \d{1,2}\.\d\d$/);
  await noBarrier('result');
  await press('Videre');
  await heading('Mål din temperatur');
});

test('a red one says that the clinic has been told, in word and shape', async () => {
  await kit.tell({ measure: 'oximeter', spo2: 84, pulse: 96 });
  await page.locator('.mark.red', { hasText: 'Rød. Klinikken har fået besked.' }).waitFor();
  assert.equal(await page.locator('.mark.red svg path').count(), 1);
  await press('Videre');
});

test('a poor one is asked for again, with what to do', async () => {
  await kit.tell({ measure: 'oximeter', spo2: 88, pulse: 71, low_perfusion: true });
  await heading('Varm fingeren lidt, og hold hånden stille');
  await page.getByText('Målingen blev usikker. Den bliver sendt, og vi prøver igen. Forsøg 2 af 3.').waitFor();
  await noBarrier('advice');
  await kit.tell({ measure: 'oximeter', spo2: 92, pulse: 71 });
  await page.locator('.mark.green').waitFor();
  await press('Videre');
});

test('the day\'s questions with a keyboard alone: branches, back, and what was answered before', async () => {
  await heading('Mål din temperatur');
  const tabTo = async (name) => {
    for (let presses = 0; presses < 30; presses += 1) {
      await page.keyboard.press('Tab');
      const [text, ring] = await page.evaluate(() => [document.activeElement?.innerText ?? '', getComputedStyle(document.activeElement).outlineStyle]);
      if (text.trim() === name) { assert.equal(ring, 'solid', `${name}: the focus is seen`); return; }
    }
    throw new Error(`no way to ${name} by Tab`);
  };
  const choose = async (name) => { await tabTo(name); await page.keyboard.press('Enter'); };
  // Chooses, and waits until something else is asked.
  const answer = async (name) => {
    const question = await page.locator('h1').innerText();
    await choose(name);
    await page.waitForFunction((before) => document.querySelector('h1').innerText !== before, question);
  };
  await choose('Spring over');
  await heading('Har du haft mere åndenød det seneste døgn?');
  await noBarrier('question');
  await choose('En smule');
  await heading('Har du hostet mere det seneste døgn?');
  await choose('Tilbage');
  await heading('Har du haft mere åndenød det seneste døgn?');
  await page.locator('button[aria-pressed=true]', { hasText: 'En smule' }).waitFor();
  await choose('Overhovedet ikke');
  await heading('Har du hostet mere det seneste døgn?');
  await choose('Overhovedet ikke');
  await heading('Hoster du slim op i dag?');
  await answer('Nej');
  for (let questions = 0; questions < 12 && await page.locator('form.answer').count(); questions += 1) {
    assert.doesNotMatch(await page.locator('h1').innerText(), /farve/, 'the branch is passed over');
    await answer('Nej');
  }
  await heading('Tak for dine svar');
  await choose('Videre');
});

test('what was skipped can be made good, and then it is done', async () => {
  await heading(/Du er færdig for nu$/);
  await press('temperatur');
  await heading('Mål din temperatur');
  await kit.tell({ measure: 'thermometer', temperature: 36.7 });
  await page.locator('.ring .v b', { hasText: '36,7' }).waitFor();
  await press('Videre');
  await heading('Tak, Inger. Du er færdig for nu');
  assert.equal(await page.locator('.step.done').count(), 3);
  await noBarrier('finished');
});

test('"call me" is an alert at the clinic within a second or two, and comes back as seen', async (t) => {
  const start = Date.now();
  await press('Ring mig op');
  const alert = await alertOf(nurse, one, ({ family }) => family === 'call');
  t.diagnostic(`the clinic knows after ${((Date.now() - start) / 1000).toFixed(1)} s`);
  await page.getByText(/^Klinikken fik din besked kl\. /).waitFor();
  await page.getByRole('button', { name: 'Bedt om opkald' }).waitFor();
  await noBarrier('call');
  const token = await nurse.locator('body').getAttribute('data-csrf');
  const acted = await nurse.request.post(new URL(`/api/v1/alerts/${alert.id}/actions`, nurse.url()).href,
    { data: { action: 'acknowledge', seen_version: alert.version }, headers: { 'x-csrf-token': token } });
  assert.ok(acted.ok(), await acted.text());
  await page.getByText(/^Mette så din besked kl\. .* og ringer til dig\.$/).waitFor();
});

test('a message of the clinic is shown until it is read, and the clinic knows', async () => {
  await ask({ command: 'message', text: 'Kære Inger. Jeg ringer i morgen <b>kl. 9</b>.' });
  await heading(/^Besked fra Mette/);
  await page.getByText('Jeg ringer i morgen <b>kl. 9</b>.').waitFor();
  await noBarrier('message');
  await press('Jeg har læst den');
  await heading('Tak, Inger. Du er færdig for nu');
  await until('the clinic knows that it was read', async () => JSON.stringify(await asked()).includes('"read"'));
});

test('without the clinic it goes on calmly, says where to phone, and sends afterwards', async () => {
  const signal = (name) => clinic.hub.signal(name);
  signal('SIGSTOP');
  await page.getByText('Ingen forbindelse til klinikken lige nu. Dine målinger er gemt og bliver sendt.').waitFor();
  await kit.tell({ measure: 'oximeter', spo2: 94, pulse: 70 });
  await page.getByText('Målingen er gemt og bliver sendt til klinikken.').waitFor();
  assert.equal(await foot(), 'Gemt på kittet. Bliver sendt til klinikken.');
  await noBarrier('offline');
  signal('SIGCONT');
  await page.getByText('Ingen forbindelse til klinikken').waitFor({ state: 'detached' });
  await until('it is sent', async () => (await foot()).startsWith('Sendt til klinikken'));
});

test('a kit that dies is seen on the page, and so is its coming back', async () => {
  watched.expect(/ERR_CONNECTION_REFUSED|ERR_INCOMPLETE_CHUNKED_ENCODING|ERR_CONNECTION_RESET|ERR_EMPTY_RESPONSE/);
  await page.evaluate(() => { window.sameDocument = true; });
  await kit.kit.kill();
  await page.locator('#gone', { hasText: 'Skærmen har mistet kittet af syne.' }).waitFor();
  await noBarrier('gone');
  await press(/Ring mig op|Bedt om opkald/);
  await page.locator('#not-sent').waitFor();
  kit.start();
  await page.locator('#gone').waitFor({ state: 'hidden' });
  assert.equal(await page.evaluate(() => window.sameDocument), true, 'by itself, without a reload');
});

test('nothing else went wrong on the page', () => {
  assert.deepEqual(watched.faults, []);
});
