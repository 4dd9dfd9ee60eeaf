// The queue as a picture: signs in, waits for a red and a blue card, opens the first red one.
//   node picture.mjs URL USER PASSWORD OUT.png
import { writeFileSync } from 'node:fs';
import { fillIn, launch, live, open } from './browser.mjs';

const [url, user, password, out] = process.argv.slice(2);
if (!out) {
  console.error('usage: node picture.mjs URL USER PASSWORD OUT.png');
  process.exit(2);
}

// The demonstration raises its first alerts within two minutes.
const CARDS_WITHIN_MS = 300_000;

const browser = await launch();
try {
  const page = await open(browser, { colorScheme: 'light', timezoneId: 'Europe/Copenhagen' });
  await fillIn(page, new URL(url).origin, { user, password });
  const red = page.locator('li.card[data-mark=red]').first();
  await red.waitFor({ timeout: CARDS_WITHIN_MS });
  await page.locator('li.card[data-mark=blue]').first().waitFor({ timeout: CARDS_WITHIN_MS });
  await live(page);
  const id = await red.getAttribute('data-alert');
  await red.getByRole('link').click();
  await page.locator(`#detail article[data-alert="${id}"] figure canvas`).waitFor();
  await page.mouse.move(0, 0);
  await page.evaluate(() => document.fonts.ready);
  // what has come since is drawn anew: wait for a curve that is there
  await page.waitForFunction(() => {
    const canvas = document.querySelector('#detail figure canvas');
    return canvas?.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data.some((part) => part > 0);
  });
  writeFileSync(out, await page.screenshot({ animations: 'disabled' }));
} finally {
  await browser.close();
}
