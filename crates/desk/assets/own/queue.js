// The queue: what is new comes in without moving what is under the pointer or the focus, and the right side stays as it is being read.
'use strict';
(() => {
  const REFRESH_MS = 200; // at most five times a second, however much changes
  const AGAIN_MS = 2000; // what could not be loaded is asked for again
  const STILL_MS = 15000; // a pointer that rests for so long is not about to click
  const { words, say, announce, tone, typing } = window.vagt;
  const list = document.getElementById('list');
  const detail = document.getElementById('detail');
  const above = document.getElementById('above');
  const filter = document.getElementById('filter');
  let selected = detail.querySelector('[data-alert]')?.dataset.alert ?? null;

  const cards = () => [...list.querySelectorAll('.card')];
  const card = (id) => document.getElementById(`alert-${id}`);
  const scroller = () => (getComputedStyle(list).overflowY === 'auto' ? list : document.scrollingElement);

  // --- is somebody in the list?
  let pointer = null;
  let movedAt = 0;
  list.addEventListener('pointermove', (event) => { pointer = { x: event.clientX, y: event.clientY }; movedAt = Date.now(); });
  list.addEventListener('pointerleave', (event) => { pointer = null; sweep(); if (event.relatedTarget !== above) settle(); });
  above.addEventListener('pointerleave', (event) => { if (!list.contains(event.relatedTarget)) settle(); });
  list.addEventListener('focusin', () => { movedAt = Date.now(); });
  const still = () => Date.now() - movedAt > STILL_MS;

  // What must not move: the card under the pointer, or else the focused one, or else what is being read further down.
  const anchor = () => {
    if (still()) return null;
    const under = pointer && document.elementFromPoint(pointer.x, pointer.y)?.closest('.card');
    if (under) return under;
    if (list.contains(document.activeElement)) return document.activeElement.closest('.card');
    return scroller().scrollTop > 8 ? cards().find((each) => each.getBoundingClientRect().bottom > list.getBoundingClientRect().top) : null;
  };

  let held = false; // the list was scrolled by us, from its top, to keep a card where it was
  const toTop = () => { scroller().scrollTo({ top: 0 }); list.style.paddingBottom = ''; above.hidden = true; held = false; fresh.clear(); };
  const settle = () => { if ((held || !above.hidden) && !list.matches(':focus-within')) toTop(); };
  above.addEventListener('click', toTop);
  const fresh = new Map();
  const showAbove = () => {
    const edge = Math.max(0, list.getBoundingClientRect().top);
    for (const id of fresh.keys()) {
      const each = card(id);
      if (!each || each.getBoundingClientRect().bottom > edge + 20) fresh.delete(id);
    }
    const red = [...fresh.values()].includes('red');
    above.hidden = fresh.size === 0;
    above.classList.toggle('red', red);
    above.textContent = say(red ? 'above-red' : 'above', { n: fresh.size });
  };
  scroller().addEventListener('scroll', showAbove, { passive: true });
  setInterval(() => { if ((held || !above.hidden) && still()) toTop(); }, 1000);

  // --- taking in a fresh list
  const sweep = () => list.querySelectorAll('.card.gone').forEach((each) => each.remove());

  // What came late was red then: it is on the queue, and sounds nothing. Red now beside it does.
  const isRedNow = (card) => card.dataset.mark === 'red' && card.dataset.late === undefined;

  const update = (old, next) => {
    if (old.dataset.version === next.dataset.version && old.dataset.mark === next.dataset.mark) return;
    const worse = isRedNow(next) && !isRedNow(old);
    const focused = old.contains(document.activeElement);
    old.className = next.className;
    old.dataset.version = next.dataset.version;
    old.dataset.mark = next.dataset.mark;
    old.toggleAttribute('data-late', next.dataset.late !== undefined);
    old.replaceChildren(...next.childNodes);
    if (focused) old.querySelector('a').focus({ preventScroll: true });
    if (worse) reds.push(old);
  };

  let reds = [];
  const merge = (next) => {
    const keep = anchor();
    const before = keep?.getBoundingClientRect().top;
    const focused = list.contains(document.activeElement) ? document.activeElement : null;
    const ol = document.getElementById('cards');
    const coming = [...next.querySelectorAll('.card')];
    const ids = new Set(coming.map((each) => each.id));
    reds = [];
    cards().filter((each) => !ids.has(each.id)).forEach((each) => { if (each === keep) gone(each); else each.remove(); });
    coming.forEach((each, place) => {
      const old = document.getElementById(each.id);
      if (old) update(old, each); else arrive(each);
      const element = old ?? each;
      const here = [...ol.children].filter((other) => !other.classList.contains('gone'))[place];
      if (here !== element) ol.insertBefore(element, here ?? null);
    });
    if (focused && document.activeElement !== focused && focused.isConnected) focused.focus({ preventScroll: true });
    if (keep?.isConnected) hold(keep, before); else fresh.clear();
    list.querySelectorAll('.empty, .more').forEach((each) => each.remove());
    list.append(...next.querySelectorAll('.empty, .more'));
    document.getElementById('counted').textContent = next.querySelector('.cards').dataset.counted;
    document.getElementById('kits-line').textContent = next.querySelector('.cards').dataset.kits;
    mark();
    sift();
    showAbove();
    aloud();
  };

  const arrive = (each) => {
    each.classList.add('fresh');
    fresh.set(each.dataset.alert, each.dataset.mark);
    if (isRedNow(each)) reds.push(each);
  };

  const gone = (each) => { each.classList.add('gone'); each.querySelector('.level span').textContent = words.gone; };

  // Scrolls so that `keep` is where it was; where the list is too short for that, it is made longer for as long as it takes.
  const hold = (keep, before) => {
    const moved = keep.getBoundingClientRect().top - before;
    if (!moved) return;
    const box = scroller();
    held ||= box.scrollTop < 1;
    const wanted = box.scrollTop + moved;
    const room = () => box.scrollHeight - box.clientHeight;
    if (wanted > room()) {
      lengthen(box.clientHeight); // a list that did not fill its box has no room to measure before this
      lengthen(wanted - room());
    }
    box.scrollTop = wanted;
  };
  const lengthen = (pixels) => { list.style.paddingBottom = `${parseFloat(getComputedStyle(list).paddingBottom) + pixels}px`; };

  const aloud = () => {
    if (!reds.length) return;
    tone();
    announce(reds.map((each) => say('raised', { name: each.dataset.name, what: each.querySelector('.what').textContent.trim() })).join('. '));
  };

  // --- asking for it, one request at a time
  let asked = false;
  let busy = false;
  const refresh = () => {
    if (busy) { asked = true; return; }
    busy = true;
    asked = false;
    setTimeout(load, REFRESH_MS);
  };
  const load = () => {
    fetch('/queue/cards', { headers: { 'HX-Request': 'true' } }).then((answer) => {
      if (answer.status === 401) location.assign('/sign-in');
      return answer.ok ? answer.text() : null;
    }, () => null).then((text) => {
      if (text) merge(new DOMParser().parseFromString(text, 'text/html').body);
      busy = false;
      if (asked || !text) setTimeout(refresh, text ? 0 : 1000);
    });
  };

  // --- the right side
  const open = () => detail.querySelector('dialog[open]');
  let stale = false;
  let shownAt = 0;
  const show = (id) => {
    stale = false;
    shownAt = Date.now();
    htmx.ajax('GET', `/alerts/${id}`, { target: '#detail', swap: 'innerHTML' });
  };
  let soon = null; // an alert that changes all the time is drawn at most once a second
  const showSoon = (id) => {
    soon ??= setTimeout(() => { soon = null; if (selected === id && !open()) show(id); }, shownAt + 1000 > Date.now() ? 1000 : 50);
  };
  const mark = () => cards().forEach((each) => {
    const mine = each.dataset.alert === selected;
    each.classList.toggle('selected', mine);
    const link = each.querySelector('a');
    if (mine) link.setAttribute('aria-current', 'true'); else link.removeAttribute('aria-current');
  });
  const select = (id) => {
    selected = id;
    mark();
    history.replaceState(null, '', `/?alert=${id}`);
    show(id);
    if (scroller() !== list) detail.scrollIntoView(); else detail.scrollTop = 0;
  };

  list.addEventListener('click', (event) => {
    const each = event.target.closest('.card');
    if (!each || event.ctrlKey || event.metaKey || event.shiftKey || each.classList.contains('gone')) return;
    event.preventDefault();
    select(each.dataset.alert);
  });

  document.addEventListener('vagt:alert', ({ detail: change }) => {
    refresh();
    const shown = detail.querySelector('article');
    if (shown?.dataset.alert !== change.id || Number(shown.dataset.version) >= change.version) return;
    if (!open()) { showSoon(change.id); return; }
    stale = true;
    notify(words.changed);
  });
  document.addEventListener('vagt:resync', () => { refresh(); if (selected && !open()) show(selected); });
  document.addEventListener('vagt:beat', ({ detail: { beat, before } }) => {
    const same = before && before.kits_online === beat.kits_online && before.kits_offline === beat.kits_offline;
    if (before && !same) refresh();
  });

  // A sentence above what is being read, or in the dialog that is open.
  const notify = (text) => {
    const place = open() ?? detail.querySelector('article');
    if (!place) return;
    const notice = place.querySelector(':scope > .notice') ?? document.createElement('p');
    notice.className = 'notice';
    notice.setAttribute('role', 'alert');
    notice.textContent = text;
    place.prepend(notice);
  };
  document.addEventListener('htmx:sendError', ({ detail: { requestConfig } }) => {
    if (requestConfig.verb === 'post') notify(words.unsent);
    else setTimeout(() => { if (selected && !open()) show(selected); }, AGAIN_MS);
  });

  detail.addEventListener('click', (event) => {
    const opener = event.target.closest('[data-dialog]');
    if (opener) document.getElementById(opener.dataset.dialog).showModal();
    if (event.target.closest('[data-dialog-cancel]')) open()?.close();
  });
  detail.addEventListener('close', () => { if (stale && selected) show(selected); }, true);
  document.addEventListener('htmx:afterSwap', (event) => {
    if (event.detail.target !== detail) return;
    document.dispatchEvent(new CustomEvent('vagt:redrawn', { detail }));
    if (event.detail.requestConfig.verb === 'post') { detail.tabIndex = -1; detail.focus({ preventScroll: true }); refresh(); }
  });

  // --- finding by name
  const sift = () => {
    const wanted = filter.value.trim().toLowerCase();
    let found = 0;
    cards().forEach((each) => { each.hidden = !each.dataset.name.toLowerCase().includes(wanted); found += each.hidden ? 0 : 1; });
    document.getElementById('none-found').hidden = !wanted || found > 0;
  };
  filter.addEventListener('input', sift);
  filter.addEventListener('keydown', (event) => {
    if (event.key === 'Escape') { filter.value = ''; sift(); filter.blur(); }
    if (event.key === 'Enter') { const first = cards().find((each) => !each.hidden); if (first) { select(first.dataset.alert); filter.blur(); } }
  });

  // --- keys
  const move = (step) => {
    const shown = cards().filter((each) => !each.hidden && !each.classList.contains('gone'));
    const at = shown.findIndex((each) => each.dataset.alert === selected);
    const next = shown[at < 0 ? 0 : Math.min(Math.max(at + step, 0), shown.length - 1)];
    if (!next) return;
    next.querySelector('a').focus({ preventScroll: true });
    next.scrollIntoView({ block: 'nearest' });
    if (next.dataset.alert !== selected) select(next.dataset.alert);
  };
  // A key means the chosen alert: while another is still shown, because this one is on its way, it does nothing.
  const act = (key) => {
    const shown = detail.querySelector('article');
    if (shown && shown.dataset.alert === selected) shown.querySelector(`[data-key="${key}"]`)?.click();
  };
  document.addEventListener('keydown', (event) => {
    if (typing(event)) return;
    if (event.key === 'j') move(1);
    else if (event.key === 'k') move(-1);
    else if (event.key === 'a' || event.key === 'c') act(event.key);
    else return;
    event.preventDefault();
  });
})();
