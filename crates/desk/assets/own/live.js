// Every page: the claim to be live, checked every second; ages that go on counting; the keys that are the same everywhere.
'use strict';
(() => {
  const BEAT_AGE_MAX_MS = 4000; // no beat for so long: the page says that it is not live
  const SILENCE_MAX_MS = 8000; // no beat for so long: connect anew
  const RETRY_MAX_MS = 10000;

  const body = document.body;
  const words = JSON.parse(body.dataset.words);
  const title = document.title;
  const top = document.getElementById('top');
  const liveText = document.getElementById('live-text');
  const say = (key, values) => words[key].replace(/%(\w+)/g, (_, name) => values[name]);

  // --- time: the clinic's clock, as the last beat told it
  let offset = Date.parse(body.dataset.now) - Date.now();
  const now = () => Date.now() + offset;
  const zone = body.dataset.zone || undefined;
  const time = (at, seconds) => new Intl.DateTimeFormat('da-DK', {
    hour: '2-digit', minute: '2-digit', second: seconds ? '2-digit' : undefined, hour12: false, timeZone: zone,
  }).format(at).replaceAll('.', ':');

  const age = (ms) => {
    const minutes = Math.max(0, Math.floor(ms / 60000));
    const two = (big, small, key) => (small ? `${big} ${say(key, { n: small })}` : big);
    if (minutes < 1) return words.now;
    if (minutes < 60) return say('min', { n: minutes });
    if (minutes < 1440) return two(say('h', { n: Math.floor(minutes / 60) }), minutes % 60, 'min');
    return two(say('d', { n: Math.floor(minutes / 1440) }), Math.floor(minutes / 60) % 24, 'h');
  };

  const put = (element, text) => { if (element && element.textContent !== text) element.textContent = text; };

  const tick = () => {
    document.querySelectorAll('[data-since]').forEach((element) => put(element, age(now() - Date.parse(element.dataset.since))));
    put(document.getElementById('clock'), time(now()));
  };

  // --- live or not
  let beat = null;
  let heardAt = Date.now();
  let lastBeatAt = now();

  const judge = () => {
    const silent = Date.now() - heardAt > BEAT_AGE_MAX_MS;
    const live = !silent && (!beat || beat.live);
    if (!beat && !silent) return; // as drawn by the server
    top.classList.toggle('not-live', !live);
    if (silent) put(liveText, say('not-live', { time: time(lastBeatAt, true) }));
    else if (live) put(liveText, words.live);
    else put(liveText, say('core', { time: time(Date.parse(beat.behind_since), true), reason: beat.reason || '' }));
    if (Date.now() - heardAt > SILENCE_MAX_MS) connect();
  };

  const tell = (name, detail) => document.dispatchEvent(new CustomEvent(`vagt:${name}`, { detail }));

  // A count in the header, and what is shown once there is something to count.
  const count = (id, number, shown) => {
    put(document.getElementById(id), String(number));
    if (number > 0) document.getElementById(shown).hidden = false;
    else if (id === shown) document.getElementById(shown).hidden = true;
  };

  const onBeat = (event) => {
    const before = beat;
    beat = JSON.parse(event.data);
    heardAt = Date.now();
    lastBeatAt = Date.parse(beat.at);
    offset = lastBeatAt - heardAt;
    document.title = beat.red ? `(${beat.red} ${words.red}) ${title}` : title;
    put(document.getElementById('n-waiting'), String(beat.red + beat.yellow + beat.missing));
    count('n-kits', beat.kits_offline, 'n-kits');
    count('n-quarantined', beat.quarantined, 'to-quarantine');
    tell('beat', { beat, before });
    judge();
  };

  // --- the stream
  let source = null;
  let last = body.dataset.version;
  let retry = 500;

  const connect = () => {
    if (source) source.close();
    heardAt = Math.max(heardAt, Date.now() - BEAT_AGE_MAX_MS - 1); // gives the new connection its time, and keeps the banner
    source = new EventSource(`/events?after=${encodeURIComponent(last)}`);
    source.addEventListener('beat', (event) => { retry = 500; onBeat(event); });
    source.addEventListener('alert', (event) => { last = event.lastEventId || last; tell('alert', JSON.parse(event.data)); });
    source.addEventListener('heartbeat', (event) => { last = event.lastEventId || last; });
    source.addEventListener('resync', (event) => { last = event.lastEventId || last; tell('resync', null); });
    source.onerror = () => { if (source.readyState === EventSource.CLOSED) again(); };
  };

  // A refused stream is not tried again by the browser: ask whether the session has ended, and if not, come back.
  const again = () => {
    setTimeout(connect, retry);
    retry = Math.min(retry * 2, RETRY_MAX_MS);
    fetch('/api/v1/session').then((answer) => { if (answer.status === 401) location.assign('/sign-in'); }, () => {});
  };

  // --- what is said aloud, and sounded
  const announce = (text) => put(document.getElementById('announce'), text);
  let audio = null;
  const sound = document.getElementById('sound');
  sound.addEventListener('change', () => { if (sound.checked) { audio ??= new AudioContext(); tone(); } });
  const tone = () => {
    if (!sound.checked || !audio) return;
    [0, 0.22].forEach((at) => {
      const [pulse, volume] = [audio.createOscillator(), audio.createGain()];
      pulse.frequency.value = 660;
      volume.gain.setValueAtTime(0.12, audio.currentTime + at);
      volume.gain.exponentialRampToValueAtTime(0.001, audio.currentTime + at + 0.18);
      pulse.connect(volume).connect(audio.destination);
      pulse.start(audio.currentTime + at);
      pulse.stop(audio.currentTime + at + 0.2);
    });
  };

  // --- keys that are the same everywhere
  const keys = document.getElementById('keys');
  const typing = (event) => event.ctrlKey || event.metaKey || event.altKey
    || event.target.closest?.('input, textarea, select, [contenteditable]') || document.querySelector('dialog[open]');
  document.addEventListener('keydown', (event) => {
    if (typing(event)) return;
    const filter = document.getElementById('filter');
    if (event.key === '?') { event.preventDefault(); keys.showModal(); }
    else if (event.key === '/' && filter) { event.preventDefault(); filter.focus(); filter.select(); }
  });
  document.querySelector('[data-keys-open]').addEventListener('click', () => keys.showModal());

  // --- pages that draw themselves anew while nobody is in them
  const page = document.querySelector('main.page');
  let due = null;
  const redraw = () => {
    due = null;
    const busy = page.contains(document.activeElement) || page.matches(':has(.scroll:hover)');
    if (busy) { later(2000); return; }
    fetch(location.href, { headers: { accept: 'text/html' } }).then((answer) => (answer.ok ? answer.text() : null), () => null).then((text) => {
      if (!text) return;
      const fresh = new DOMParser().parseFromString(text, 'text/html').querySelector('main.page');
      const opened = new Set([...page.querySelectorAll('details[open]')].map((details) => details.dataset.alert));
      if (!fresh) return;
      fresh.querySelectorAll('details').forEach((details) => { details.open = opened.has(details.dataset.alert) || details.open; });
      page.replaceChildren(...fresh.childNodes);
      tell('redrawn', page);
    });
  };
  const later = (ms) => { due ??= setTimeout(redraw, ms); };
  if (page) {
    document.addEventListener('vagt:alert', (event) => { if (!page.dataset.patient || page.dataset.patient === event.detail.patient) later(1000); });
    document.addEventListener('vagt:resync', () => later(200));
    if (body.dataset.page === 'kits' || page.dataset.patient) setInterval(() => later(0), 15000);
  }
  if (body.dataset.page !== 'queue') {
    document.addEventListener('vagt:beat', ({ detail: { beat: fresh, before } }) => {
      // What came late was red then, and is no news of now.
      if (before && fresh.red - fresh.red_late > before.red - before.red_late) { announce(`${fresh.red} ${words.red}`); tone(); }
    });
  }

  window.vagt = { words, say, now, time, zone, announce, tone, typing };
  connect();
  tick();
  setInterval(tick, 1000);
  setInterval(judge, 250);
})();
