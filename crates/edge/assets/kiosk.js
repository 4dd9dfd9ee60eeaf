// The kit's page, live: draws what the kit says, keeps the hands of the person safe from what changes under them, and says when the kit is silent.
'use strict';
(() => {
  const BEAT_AGE_MAX_MS = 4000; // nothing heard for so long: the page says so
  const SILENCE_MAX_MS = 8000; // and connects anew
  const SETTLE_MS = 400; // a tap so soon after the screen changed was meant for what was there before
  const REGIONS = ['top', 'notes', 'stage', 'foot'];

  const find = (id) => document.getElementById(id);
  let heardAt = Date.now();
  let changedAt = 0;

  // --- drawing: what is alike stays, with its focus; what is another screen is put in whole, and read out from its heading
  const alike = (old, fresh) => old.nodeType === fresh.nodeType && old.nodeName === fresh.nodeName && (old.id ?? '') === (fresh.id ?? '');

  const patch = (old, fresh) => {
    if (old.isEqualNode(fresh)) return;
    if (old.nodeType !== Node.ELEMENT_NODE) { old.nodeValue = fresh.nodeValue; return; }
    for (const { name } of [...old.attributes]) if (!fresh.hasAttribute(name)) old.removeAttribute(name);
    for (const { name, value } of fresh.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
    const [before, after] = [[...old.childNodes], [...fresh.childNodes]];
    after.forEach((child, index) => {
      if (!before[index]) old.append(child);
      else if (alike(before[index], child)) patch(before[index], child);
      else before[index].replaceWith(child);
    });
    before.slice(after.length).forEach((child) => child.remove());
  };

  const draw = (html) => {
    const fresh = new DOMParser().parseFromString(html, 'text/html');
    for (const id of REGIONS) {
      const [old, now] = [find(id), fresh.getElementById(id)];
      if (!old || !now) continue;
      if (id === 'stage' && old.dataset.key !== now.dataset.key) enter(old, now);
      else patch(old, now);
    }
  };

  const enter = (old, now) => {
    const held = old.contains(document.activeElement) || document.activeElement === document.body;
    old.replaceWith(now);
    changedAt = performance.now();
    if (!held) return;
    const first = now.querySelector('[data-first]') ?? now.querySelector('h1');
    first?.focus({ preventScroll: true });
    scrollTo(0, 0);
  };

  // --- pressing: the form goes to the kit; what comes of it comes with the stream
  const NOT_SENT = 'not-sent';
  document.addEventListener('submit', (event) => {
    const form = event.target;
    if (form.dataset.load !== undefined) return; // loads the page anew
    event.preventDefault();
    const field = form.querySelector('input[type=text]');
    const body = new URLSearchParams(new FormData(form, event.submitter));
    event.submitter?.classList.add('sending');
    fetch(form.getAttribute('action'), { method: 'POST', body, headers: { 'x-kiosk': '1' } }).then(async (answer) => {
      if (answer.status === 422) { draw(await answer.text()); field?.select(); }
      else if (!answer.ok) throw new Error(answer.status);
      else if (field) field.value = '';
      find(NOT_SENT).hidden = true;
    }).catch(() => { find(NOT_SENT).hidden = false; }).finally(() => event.submitter?.classList.remove('sending'));
  });

  // A keyboard's click has no detail; a finger's has.
  document.addEventListener('click', (event) => {
    const tooSoon = event.detail > 0 && performance.now() - changedAt < SETTLE_MS && event.target.closest('#stage');
    if (tooSoon) { event.preventDefault(); event.stopPropagation(); }
  }, true);

  // A scanner types like a keyboard, wherever the focus is.
  document.addEventListener('keydown', (event) => {
    const field = document.querySelector('input[data-scanner]');
    const typed = event.key.length === 1 && event.key !== ' ' && !event.ctrlKey && !event.metaKey && !event.altKey;
    if (field && typed && document.activeElement !== field) field.focus();
  });

  // --- the stream
  let source = null;
  const heard = () => { heardAt = Date.now(); judge(); };
  const judge = () => {
    const silent = Date.now() - heardAt;
    find('gone').hidden = silent <= BEAT_AGE_MAX_MS;
    if (silent > SILENCE_MAX_MS) connect();
  };
  const connect = () => {
    source?.close();
    heardAt = Math.max(heardAt, Date.now() - BEAT_AGE_MAX_MS - 1); // gives the new connection its time
    source = new EventSource('/live');
    source.addEventListener('page', (event) => { heard(); draw(JSON.parse(event.data)); });
    source.addEventListener('beat', heard);
  };
  connect();
  setInterval(judge, 500);
  document.querySelector('[data-first]')?.focus({ preventScroll: true });
})();
