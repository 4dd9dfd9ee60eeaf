// A real Chromium, people who sign in with it, and what went wrong on their pages: errors, and requests to anybody but the clinic.
import { accessSync, constants } from 'node:fs';
import { chromium } from 'playwright-core';
import { SOON_MS } from './programs.mjs';

const PROGRAM = '/usr/bin/chromium';
const ARGS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync'];

// Chromium without a window.
export async function launch() {
  try {
    accessSync(PROGRAM, constants.X_OK);
  } catch {
    throw new Error('chromium is missing: apt-get install chromium');
  }
  return chromium.launch({ executablePath: PROGRAM, args: ARGS });
}

// A browser profile of its own with one page.
export async function open(browser, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1360, height: 860 }, locale: 'en-GB', ...options });
  context.setDefaultTimeout(SOON_MS);
  context.setDefaultNavigationTimeout(SOON_MS);
  const page = await context.newPage();
  return page;
}

// Fills the sign-in form in and sends it.
export async function fillIn(page, http, { user, password }) {
  await page.goto(`${http}/sign-in`);
  await page.getByLabel(/^(User name|Brugernavn)/).fill(user);
  await page.getByLabel(/^(Password|Adgangskode)/).fill(password);
  await page.locator('form[action="/sign-in"] button').click();
}

// A profile in which this person has signed in, with the queue open and live.
export async function signedIn(browser, clinic, who, options) {
  const page = await open(browser, options);
  await fillIn(page, clinic.http, who);
  await page.locator('#cards').waitFor({ state: 'attached' });
  await live(page);
  return page;
}

export const live = (page) => page.locator('header#top:not(.not-live)').waitFor();
export const notLive = (page) => page.locator('header#top.not-live').waitFor();

// The card of a person.
export const card = (page, who) => page.locator(`li.card[data-name="${who.name}"]`);

// Everything that a page must not do, as it happens. `expected` are lines that a test provokes.
export function watch(page, http) {
  const faults = [];
  const expected = [];
  const note = (line) => { if (!expected.some((pattern) => pattern.test(line))) faults.push(line); };
  page.on('console', (said) => { if (['error', 'warning'].includes(said.type())) note(`console: ${said.text()}`); });
  page.on('pageerror', (error) => note(`script: ${error}`));
  page.on('request', (request) => {
    const url = new URL(request.url());
    if (url.origin !== http && url.protocol !== 'data:') note(`request to ${url.origin}`);
  });
  return { faults, expect: (pattern) => expected.push(pattern) };
}
