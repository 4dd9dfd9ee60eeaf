// A clinic: `vagt serve` with its own folder, roster and accounts, on free ports; and kits that speak to it through mosquitto_pub.
import { createHash, randomUUID } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { Running, debian, file, ours, until } from './programs.mjs';

export const METTE = { user: 'mette', name: 'Mette L.', password: 'correct horse battery staple' };
export const HENRIK = { user: 'henrik', name: 'Henrik S.', password: 'four candles, or fork handles?' };

const DAY_MS = 86_400_000;

// The `number`th simulated person with a kit. `expected`: measurements have been expected of this person for a fortnight.
export const person = (number, { expected = false } = {}) => ({
  patient: `p-${number}`, name: `Simulated ${['One', 'Two', 'Three', 'Four', 'Five'][number - 1]}`, kit: `kit-${number}`,
  secret: `secret-of-simulated-kit-${number}`, expected, seq: 0,
});

export class Clinic {
  // A running clinic with these people and both accounts; `mqtt` and `more` go into its configuration, after [mqtt] and at the end.
  static async start(people, { mqtt = '', more = '' } = {}) {
    const clinic = new Clinic(people);
    clinic.besides = { mqtt, more };
    clinic.configure('127.0.0.1:0', '127.0.0.1:0');
    writeFileSync(clinic.path('roster.toml'), roster(people));
    await clinic.account(METTE);
    await clinic.account(HENRIK);
    await clinic.serve();
    return clinic;
  }

  constructor(people) {
    this.people = people;
    this.folder = mkdtempSync(path.join(os.tmpdir(), 'vagt-browser-'));
    this.children = [];
  }

  path(name) { return path.join(this.folder, name); }

  log() { return readFileSync(this.path('serve.log'), 'utf8'); }

  // Starts `vagt serve`, (again) on the same ports.
  async serve() {
    this.hub = this.run(ours('vagt'), ['serve', '--json', '--config', this.path('hub.toml')], 'serve.log', { RUST_LOG: 'info' });
    const ready = await this.hub.json((line) => line.ready === true).catch((error) => { throw new Error(`${error.message}\n${this.log()}`); });
    this.http = ready.http;
    this.mqttPort = ready.mqtt.split(':').pop();
    this.configure(ready.mqtt, ready.http.replace('http://', ''));
  }

  // Sends readings of now as the next message of a person's kit, and waits for the PUBACK.
  async publish(who, values) {
    who.seq += 1;
    return this.sent(this.send(who, message(who.seq, values)));
  }

  // Sends these bytes as a message of a person's kit.
  send(who, body) {
    const args = [
      '-h', '127.0.0.1', '-p', this.mqttPort, '-V', 'mqttv5', '-u', who.kit, '-P', who.secret, '-i', who.kit, '-q', '1',
      '-t', `vagt/v1/${who.kit}/readings`, '-m', body,
    ];
    return this.run(debian('mosquitto_pub', 'mosquitto-clients'), args, 'publish.log');
  }

  // Waits until what was sent is acknowledged.
  async sent(publisher) {
    const code = await publisher.ended;
    if (code !== 0) throw new Error(`mosquitto_pub: ${code}\n${readFileSync(this.path('publish.log'), 'utf8')}\n${this.log()}`);
  }

  // Holds the store's write lock until told otherwise: a store that is stuck, from the hub's point of view.
  async stuckStore() {
    const lock = this.run(debian('python3', 'python3'), [file('tests/clients/hold_lock.py'), this.path('data/vagt.db')], 'lock.log');
    await lock.line((line) => line === 'held');
    return { release: () => { lock.tell(''); return lock.line((line) => line === 'released'); } };
  }

  // Ends everything that was started, and removes the folder.
  async end() {
    await Promise.allSettled(this.children.map((child) => child.kill()));
    rmSync(this.folder, { recursive: true, force: true });
  }

  run(program, args, log, env) {
    const child = new Running(program, args, { log: this.path(log), env });
    this.children.push(child);
    return child;
  }

  async account({ user, name, password }) {
    const args = ['account', 'add', user, '--name', name, '--role', 'nurse', '--language', 'en', '--json', '--config', this.path('hub.toml')];
    const add = this.run(ours('vagt'), args, 'account.log');
    add.child.stdin.end(`${password}\n`);
    await add.json((line) => line.user === user);
    await add.ended;
  }

  configure(mqtt, http) {
    writeFileSync(this.path('hub.toml'), `clinic = "Test clinic"\ndata = "data"\nroster = "roster.toml"\nsimulated = true\n`
      + `[mqtt]\nlisten = "${mqtt}"\n${this.besides.mqtt}[http]\nlisten = "${http}"\n${this.besides.more}`);
  }
}

// Readings of now, taken together, as a kit sends them.
export function message(seq, values) {
  const units = { spo2: '%', pulse: '/min', temperature: 'Cel', weight: 'kg' };
  const now = new Date().toISOString();
  const readings = Object.entries(values).map(([vital, value]) => ({
    vital, value, unit: units[vital], measured_at: now, clock: 'device', device: 'nonin-3230:501234567',
  }));
  return JSON.stringify({ seq, sent_at: now, session: randomUUID(), readings });
}

// What the API answers to the person who has signed in to this page.
export async function api(page, at) {
  const answer = await page.request.get(new URL(at, page.url()).href);
  if (!answer.ok()) throw new Error(`${at}: ${answer.status()} ${await answer.text()}`);
  return answer.json();
}

// Waits until an open alert of this person is `wanted`.
export function alertOf(page, who, wanted = () => true) {
  return until(`an alert of ${who.patient}`, async () => {
    const { alerts } = await api(page, '/api/v1/alerts');
    return alerts.find((alert) => alert.patient === who.patient && wanted(alert));
  });
}

function roster(people) {
  const from = (expected) => new Date(Date.now() - (expected ? 14 * DAY_MS : 0)).toISOString();
  const one = ({ patient, name, kit, secret, expected }) => `[[patient]]\nid = "${patient}"\nname = "${name}"\nborn = 1948\nprogramme = "copd"\n`
    + `simulated = true\nsince = "${from(expected)}"\n[[kit]]\nid = "${kit}"\npatient = "${patient}"\n`
    + `secret_sha256 = "${createHash('sha256').update(secret).digest('hex')}"\nsince = "${from(true)}"\n`;
  return `# Simulated people and kits of a test.\n${people.map(one).join('')}`;
}
