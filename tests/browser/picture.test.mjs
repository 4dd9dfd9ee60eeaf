// The script that takes the picture of the queue. With VAGT_PICTURE=FILE the picture of this test's clinic is kept there.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { Clinic, METTE, person } from './clinic.mjs';
import { file } from './programs.mjs';

const [one, two, three] = [person(1), person(2), person(3, { expected: true })];
let clinic;
before(async () => {
  clinic = await Clinic.start([one, two, three]);
  await clinic.publish(one, { spo2: 84, pulse: 104 });
  await clinic.publish(two, { spo2: 87, pulse: 80 });
});
after(() => clinic?.end());

test('the picture is taken, 1360 by 860', async () => {
  const out = process.env.VAGT_PICTURE ?? clinic.path('queue.png');
  const script = file('tests/browser/picture.mjs');
  const code = await clinic.run(process.execPath, [script, clinic.http, METTE.user, METTE.password, out], 'picture.log').ended;
  assert.equal(code, 0, readFileSync(clinic.path('picture.log'), 'utf8'));
  const png = readFileSync(out);
  assert.equal(png.subarray(1, 4).toString(), 'PNG');
  assert.deepEqual([png.readUInt32BE(16), png.readUInt32BE(20)], [1360, 860]);
});
