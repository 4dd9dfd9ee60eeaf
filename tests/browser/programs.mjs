// Our programs and Debian's as children of a test: found, started, read line by line, stopped by their own id. None outlives the test.
import { spawn } from 'node:child_process';
import { accessSync, constants, existsSync, openSync } from 'node:fs';
import path from 'node:path';
import readline from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

// How long anything that must happen may take. Generous: a test machine is busy.
export const SOON_MS = 60_000;
const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');

// One of our programs, as `cargo build --workspace --bins --example kiosk` made it.
export function ours(name) {
  const program = path.join(process.env.CARGO_TARGET_DIR ?? path.join(ROOT, 'target'), 'debug', name);
  if (!existsSync(program)) throw new Error(`${program} is missing: run cargo build --workspace --bins --example kiosk (make test does)`);
  return program;
}

// An example, as the same command made it.
export const example = (name) => ours(path.join('examples', name));

// A file of this repository.
export const file = (name) => path.join(ROOT, name);

// A program from Debian.
export function debian(name, deb) {
  const found = `${process.env.PATH ?? ''}:/usr/bin:/usr/sbin`.split(':').map((folder) => path.join(folder, name)).find(canRun);
  if (!found) throw new Error(`${name} is missing: apt-get install ${deb}`);
  return found;
}

function canRun(program) {
  try {
    accessSync(program, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

// Asks until the answer is neither null nor undefined nor false, and gives it.
export async function until(what, ask) {
  const giveUp = Date.now() + SOON_MS;
  for (;;) {
    const found = await ask();
    if (found !== null && found !== undefined && found !== false) return found;
    if (Date.now() > giveUp) throw new Error(`not within ${SOON_MS / 1000} s: ${typeof what === 'function' ? what() : what}`);
    await sleep(50);
  }
}

const running = new Set();
process.on('exit', () => running.forEach((child) => child.child.kill('SIGKILL')));
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => process.exit(1));

// A running child. What it says on standard error goes to `log`.
export class Running {
  constructor(program, args, { log, env = {} }) {
    this.name = path.basename(program);
    this.lines = [];
    this.child = spawn(program, args, { env: { ...process.env, ...env }, stdio: ['pipe', 'pipe', openSync(log, 'a')] });
    running.add(this);
    this.child.stdin.on('error', () => {}); // it has ended: `ended` says so
    readline.createInterface({ input: this.child.stdout }).on('line', (line) => this.lines.push(line));
    this.ended = new Promise((resolve, reject) => {
      this.child.on('error', reject);
      this.child.on('close', (code, signal) => { running.delete(this); resolve(code ?? signal); });
    });
    this.ended.catch(() => {}); // whoever waits for it is told
  }

  // Waits for a line on standard output that `wanted` gives something for; lines before it are dropped.
  async line(wanted) {
    let over = false;
    this.ended.then(() => { over = true; }, () => { over = true; });
    return until(() => `${this.name} says nothing of the kind`, () => {
      while (this.lines.length) {
        const found = wanted(this.lines.shift());
        if (found) return found;
      }
      if (over) throw new Error(`${this.name} ended before it said what was waited for`);
      return null;
    });
  }

  // The same, for JSON lines.
  json(wanted) {
    return this.line((line) => {
      try {
        const value = JSON.parse(line);
        return wanted(value) ? value : null;
      } catch {
        return null;
      }
    });
  }

  tell(line) { this.child.stdin.write(`${line}\n`); }

  signal(name) { if (!this.child.kill(name)) throw new Error(`${this.name} is not running`); }

  // `kill -9`, as by a power cut; also of a program that was stopped.
  async kill() {
    this.child.kill('SIGKILL');
    return this.ended;
  }
}
