// The heartbeat on the page: when the service's own test readings don't come through, the queue says in red that it isn't live, and why.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launch, live, notLive, signedIn } from './browser.mjs';
import { Clinic, METTE, person } from './clinic.mjs';
import { debian } from './programs.mjs';

const one = person(1);
let clinic;
let browser;
before(async () => {
  clinic = await Clinic.start([one], { mqtt: 'connections_max = 1\n', more: '[heartbeat]\nperiod_seconds = 1\n' });
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await clinic?.end();
});

// Takes the only place at the front door; a test reading may have it just now.
async function takePlace() {
  for (;;) {
    const kit = clinic.run(debian('mosquitto_sub', 'mosquitto-clients'), [
      '-h', '127.0.0.1', '-p', clinic.mqttPort, '-V', 'mqttv5', '-u', one.kit, '-P', one.secret, '-i', one.kit, '-t', `vagt/v1/${one.kit}/acks`,
    ], 'subscribe.log');
    const ended = await Promise.race([kit.ended.then(() => true), new Promise((wait) => { setTimeout(wait, 1500, false); })]);
    if (!ended) return kit;
  }
}

test('test readings that do not come in', async () => {
  const page = await signedIn(browser, clinic, METTE);
  const kit = await takePlace();
  await notLive(page);
  assert.match(await page.locator('#live-text').textContent(), /a test reading is not taken in where kits send/);
  if (process.env.VAGT_HEARTBEAT_PICTURE) await page.screenshot({ path: process.env.VAGT_HEARTBEAT_PICTURE });
  assert.equal(await page.locator('li.card').count(), 0, 'the heartbeat is on no queue');
  await page.goto(`${clinic.http}/patients`);
  assert.equal(await page.getByText('vagt-heartbeat').count(), 0, 'nor among the people');
  await page.goto(`${clinic.http}/kits`);
  assert.equal(await page.getByText('vagt-heartbeat').count(), 0, 'nor among the kits');
  await kit.kill();
  await live(page);
});
