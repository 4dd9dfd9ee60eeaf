// Curves with their limits drawn in: red and yellow zones, dots in their colours, the clinic's time zone.
'use strict';
(() => {
  const { zone } = window.vagt;
  const lang = { da: 'da-DK', en: 'en-GB' }[document.documentElement.lang];
  const ink = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
  const day = new Intl.DateTimeFormat(lang, { day: 'numeric', month: 'short', timeZone: zone });
  const moment = new Intl.DateTimeFormat(lang, { weekday: 'short', day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit', hour12: false, timeZone: zone });
  const number = (value) => new Intl.NumberFormat(lang, { maximumFractionDigits: 3 }).format(value);

  // The zones, clipped to the picture. An own limit is drawn as a line too.
  const zones = (curve) => (plot) => {
    const { ctx, bbox } = plot;
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
    ctx.clip();
    for (const each of curve.zones) {
      const topEdge = each.below == null ? bbox.top : plot.valToPos(each.below, 'y', true);
      const bottom = each.from == null ? bbox.top + bbox.height : plot.valToPos(each.from, 'y', true);
      ctx.fillStyle = ink(`${each.mark}-bg`);
      ctx.fillRect(bbox.left, topEdge, bbox.width, bottom - topEdge);
      if (each.own) own(ctx, bbox, each.below == null ? bottom : topEdge, ink(each.mark));
    }
    ctx.restore();
  };
  const own = (ctx, bbox, y, colour) => {
    ctx.strokeStyle = colour;
    ctx.setLineDash([6, 4]);
    ctx.beginPath();
    ctx.moveTo(bbox.left, y);
    ctx.lineTo(bbox.left + bbox.width, y);
    ctx.stroke();
    ctx.setLineDash([]);
  };

  // Each point that is not green has its colour and its shape: a diamond for red, a triangle for yellow; doubtful ones are hollow.
  const dots = (curve) => (plot) => {
    const { ctx } = plot;
    const size = 4.2 * devicePixelRatio;
    curve.points.forEach((point, index) => {
      if (point.invalid) return cross(plot, point, size * 0.8);
      const last = index === curve.points.length - 1;
      const coloured = point.mark === 'red' || point.mark === 'yellow';
      if (!coloured && !last && !point.flagged) return;
      const x = plot.valToPos(Date.parse(point.at) / 1000, 'x', true);
      const y = plot.valToPos(point.value, 'y', true);
      ctx.beginPath();
      if (point.mark === 'red') { ctx.moveTo(x, y - size); ctx.lineTo(x + size, y); ctx.lineTo(x, y + size); ctx.lineTo(x - size, y); ctx.closePath(); }
      else if (point.mark === 'yellow') { ctx.moveTo(x, y - size); ctx.lineTo(x + size, y + size * 0.8); ctx.lineTo(x - size, y + size * 0.8); ctx.closePath(); }
      else ctx.arc(x, y, size * 0.8, 0, 7);
      ctx.lineWidth = 1.5 * devicePixelRatio;
      ctx.strokeStyle = coloured ? ink(point.mark) : ink('ink');
      ctx.fillStyle = point.flagged ? ink('card') : ctx.strokeStyle;
      ctx.fill();
      ctx.stroke();
    });
  };

  // A point that was declared invalid: crossed out, and the line passes it by.
  const cross = (plot, point, size) => {
    const { ctx } = plot;
    const x = plot.valToPos(Date.parse(point.at) / 1000, 'x', true);
    const y = plot.valToPos(point.value, 'y', true);
    ctx.beginPath();
    ctx.moveTo(x - size, y - size);
    ctx.lineTo(x + size, y + size);
    ctx.moveTo(x - size, y + size);
    ctx.lineTo(x + size, y - size);
    ctx.lineWidth = 1.5 * devicePixelRatio;
    ctx.strokeStyle = ink('dim');
    ctx.stroke();
  };

  // A day of a long curve: from its lowest to its highest value.
  const reach = (curve) => (plot) => {
    if (!curve.by) return;
    const { ctx } = plot;
    ctx.lineWidth = 2 * devicePixelRatio;
    ctx.strokeStyle = ink('dim');
    for (const { at, low, high } of curve.points) {
      const x = plot.valToPos(Date.parse(at) / 1000, 'x', true);
      ctx.beginPath();
      ctx.moveTo(x, plot.valToPos(low, 'y', true));
      ctx.lineTo(x, plot.valToPos(high, 'y', true));
      ctx.stroke();
    }
  };

  const tip = (curve, unit) => {
    const box = document.createElement('div');
    box.className = 'tip';
    box.hidden = true;
    return (plot) => {
      if (!box.isConnected) plot.over.append(box);
      const index = plot.cursor.idx;
      box.hidden = index == null;
      if (index == null) return;
      const point = curve.points[index];
      box.textContent = curve.by
        ? `${number(point.low)}–${number(point.high)} ${unit} · ${day.format(Date.parse(point.at))}`
        : `${number(point.value)} ${unit} · ${moment.format(Date.parse(point.at))}`;
      const x = plot.valToPos(Date.parse(point.at) / 1000, 'x');
      box.style.left = `${Math.min(Math.max(x, 80), plot.over.clientWidth - 80)}px`;
      box.style.top = `${plot.valToPos(point.value, 'y')}px`;
    };
  };

  // From the lowest to the highest value, and the nearest limits.
  const range = (curve) => {
    const values = curve.points.flatMap((point) => [point.low ?? point.value, point.high ?? point.value]);
    let [low, high] = [Math.min(...values), Math.max(...values)];
    const reach = Math.max((high - low) / 2, Math.abs(high) * 0.03);
    for (const end of curve.zones.flatMap((each) => [each.from, each.below])) {
      if (end != null && end > low - reach && end < high + reach) [low, high] = [Math.min(low, end), Math.max(high, end)];
    }
    const margin = Math.max((high - low) * 0.18, reach * 0.1, 0.01);
    return [low - margin, high + margin];
  };

  const options = (curve, place) => {
    const axis = { stroke: ink('dim'), font: '11px system-ui, sans-serif', grid: { stroke: ink('rule'), width: 1 }, ticks: { show: false } };
    return {
      width: place.clientWidth,
      height: place.clientHeight,
      tzDate: (seconds) => (zone ? uPlot.tzDate(new Date(seconds * 1000), zone) : new Date(seconds * 1000)),
      legend: { show: false },
      cursor: { y: false, drag: { x: false, y: false }, points: { size: 9, fill: ink('accent'), stroke: ink('card') } },
      scales: { x: { range: [Date.parse(curve.since) / 1000, Date.parse(curve.until) / 1000 + 43200] }, y: { range: range(curve) } },
      axes: [
        { ...axis, grid: { show: false }, space: 70, size: 26, values: (_, ticks) => ticks.map((tick) => day.format(tick * 1000)) },
        { ...axis, size: 44, values: (_, ticks) => ticks.map(number) },
      ],
      series: [{}, { stroke: ink('ink'), width: 1.5, points: { show: false }, spanGaps: true }],
      hooks: { drawClear: [zones(curve)], draw: [reach(curve), dots(curve)], setCursor: [tip(curve, curve.unit_plain)] },
    };
  };

  // A long curve is drawn through the means of its hours or days.
  const shown = (curve) => (curve?.spans ? { ...curve, points: curve.spans.map((span) => ({ ...span, value: span.mean })) } : curve);

  const drawn = new Map();
  const draw = (figure, curve) => {
    const place = figure.querySelector('.plot');
    drawn.get(figure)?.destroy();
    if (!curve || !place.clientWidth) return;
    const data = [curve.points.map((point) => Date.parse(point.at) / 1000), curve.points.map((point) => (point.invalid ? null : point.value))];
    drawn.set(figure, new uPlot(options(curve, place), data, place));
    figure.curve = curve;
    resize.observe(place);
  };

  const resize = new ResizeObserver((entries) => entries.forEach(({ target }) => {
    const plot = drawn.get(target.closest('figure'));
    if (plot && target.clientWidth && plot.width !== target.clientWidth) plot.setSize({ width: target.clientWidth, height: target.clientHeight });
  }));

  const load = (root) => {
    for (const figure of drawn.keys()) if (!figure.isConnected) { drawn.get(figure).destroy(); drawn.delete(figure); }
    root.querySelectorAll('figure[data-curve]').forEach((figure) => {
      fetch(figure.dataset.curve).then((answer) => (answer.ok ? answer.json() : []), () => []).then(([curve]) => draw(figure, shown(curve)));
    });
  };

  document.addEventListener('vagt:redrawn', (event) => load(event.detail));
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => drawn.forEach((_, figure) => draw(figure, figure.curve)));
  load(document);
})();
