// Loss curves of the entries that are ticked. Uses the rows and helpers of gallery.js.

const boxes = rows.map(row => row.querySelector("input[type=checkbox]"));
const area = document.querySelector(".loss .area");
const dashes = ["", "7 4", "2 4"];
let places = [];  // entries by color; a color stays with its entry until that is hidden
let curves = [];

function showCurve(entry, shown) {
  boxes[entry].checked = shown;
  const place = places.indexOf(shown ? undefined : entry);
  if (shown && !places.includes(entry)) places[place < 0 ? places.length : place] = entry;
  else if (!shown && place >= 0) places[place] = undefined;
}

function showOnly(chosen) {
  places = [];
  for (const entry of entries.keys()) showCurve(entry, false);
  for (const entry of chosen) showCurve(entry, true);
  drawCurves();
}

/** A curve is embedded as every `stride`-th value and the last one. */
function curveOf(entry, place) {
  const { last, stride, values } = entries[entry].losses;
  const color = colors[place % colors.length], dash = dashes[Math.floor(place / colors.length) % dashes.length];
  boxes[entry].style.accentColor = color;
  const points = values.map((value, index) => ({ step: Math.min(index * stride, last), value }));
  return { entry, points, color, dash };
}

function drawCurves() {
  curves = places.flatMap((entry, place) => entry === undefined ? [] : [curveOf(entry, place)]);
  const drawn = curves.flatMap(curve => curve.points).filter(({ value }) => value !== null);
  area.replaceChildren();
  area.onpointermove = null;
  drawLegend(drawn.length > 0);
  for (const axis of document.querySelectorAll(".loss :is(.x, .y)")) axis.replaceChildren();
  if (!drawn.length) return;
  const [top, least] = [Math.max, Math.min].map(end => end(...drawn.map(({ value }) => value)));
  const bottom = Math.max(least, top * 1e-6);  // a loss that falls to rounding error would press all else to the top
  const margin = Math.max((top / bottom) ** 0.06, 1.02);
  const last = Math.max(...drawn.map(({ step }) => step), 1);
  const x = step => 100 * step / last;
  const y = value => 100 * Math.log(value * margin / bottom) / Math.log(top / bottom * margin ** 2);
  drawAxes(linearTicks(0, last, 7).filter(Number.isInteger), lossTicks(bottom, top), x, y);
  drawPaths(x, y);
  area.onpointermove = event => point(event, last, y);
}

/** At most `most` intervals of 1, 2 or 5 times a power of ten. */
function linearTicks(low, high, most) {
  const least = (high - low) / most, power = 10 ** Math.floor(Math.log10(least));
  const step = power * [1, 2, 5, 10].find(factor => factor * power >= least * 0.999);
  const first = Math.ceil(low / step);
  return Array.from({ length: Math.floor(high / step) - first + 1 }, (_, index) => (first + index) * step);
}

/** Powers of ten; or between them too, or evenly spaced, where there are few. */
function lossTicks(low, high) {
  const decades = Math.log10(high / low);
  if (decades < 1) return linearTicks(low, high, 5);
  const first = Math.floor(Math.log10(low));
  const powers = Array.from({ length: Math.ceil(decades) + 1 }, (_, index) => 10 ** (first + index));
  const ticks = powers.flatMap(power => (decades > 2.5 ? [1] : [1, 2, 5]).map(factor => factor * power));
  return ticks.filter(tick => tick >= low && tick <= high);
}

function drawAxes(steps, losses, x, y) {
  document.querySelector(".loss .x").append(...steps.map(step => tick(String(step), "left", x(step))));
  document.querySelector(".loss .y").append(...losses.map(value => tick(shortText(value, 4), "bottom", y(value))));
  area.append(...losses.map(value => tick("", "bottom", y(value), "grid")));
}

function tick(text, side, percent, className = "") {
  const element = create("span", { className }, text);
  element.style[side] = `${percent}%`;
  return element;
}

function drawPaths(x, y) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 100 100");
  svg.setAttribute("preserveAspectRatio", "none");
  for (const curve of curves) {
    curve.path = document.createElementNS("http://www.w3.org/2000/svg", "path");
    const attributes = { d: pathOf(curve.points, x, y), stroke: curve.color, "stroke-dasharray": curve.dash };
    for (const [name, value] of Object.entries(attributes)) curve.path.setAttribute(name, value);
    svg.append(curve.path);
  }
  area.append(svg);
}

/** A line with gaps where there is no value. "h0" makes a dot of a point without neighbors. */
function pathOf(points, x, y) {
  return points.map(({ step, value }, index) => {
    if (value === null) return "";
    const place = `${x(step).toFixed(2)} ${(100 - y(value)).toFixed(2)}`;
    return index && points[index - 1].value !== null ? `L${place}` : `M${place}h0`;
  }).join("");
}

function drawLegend(drawable) {
  find("legend").replaceChildren(...curves.map(curve => {
    const swatch = create("i", { className: "swatch", style: `background: ${curve.color}` });
    const title = settingsText(curve.entry);
    curve.output = create("span", { className: "value" });
    curve.item = create("li", { onpointerenter: () => highlight(curve), onpointerleave: () => highlight(null) },
      swatch, create("b", {}, entries[curve.entry].name), create("span", { className: "muted", title }, title), curve.output);
    return curve.item;
  }));
  find("no-curves").hidden = drawable;
  find("no-curves").textContent = curves.length ? "There is no positive value to draw."
    : "Tick entries in the table to see their curves.";
  showValues(Infinity);
}

/** In the legend: each curve's value at a step, or the nearest that is there. */
function showValues(step) {
  for (const { points, output } of curves) output.textContent = points.length ? lossText(nearest(points, step)) : "—";
}

function lossText({ value }) { return value === null ? "—" : shortText(value, 4); }

function nearest(points, step) {
  const wanted = Math.min(step, points.at(-1).step);
  return points.reduce((a, b) => Math.abs(b.step - wanted) < Math.abs(a.step - wanted) ? b : a);
}

function highlight(chosen) {
  for (const curve of curves) {
    curve.item.classList.toggle("chosen", curve === chosen);
    curve.path?.classList.toggle("dim", chosen !== null && curve !== chosen);
  }
}

/** Follow the pointer: values at its step, and the curve that is closest. */
function point(event, last, y) {
  const box = area.getBoundingClientRect();
  const step = last * (event.clientX - box.left) / box.width;
  const height = 100 * (box.bottom - event.clientY) / box.height;
  const distance = ({ points }) => {
    const value = points.length ? nearest(points, step).value : null;
    return value === null ? Infinity : Math.abs(y(value) - height);
  };
  showValues(step);
  highlight(curves.reduce((a, b) => distance(b) < distance(a) ? b : a));
}

area.addEventListener("pointerleave", () => { showValues(Infinity); highlight(null); });
find("table").addEventListener("change", event => {
  const entry = boxes.indexOf(event.target);
  if (entry < 0) return;
  showCurve(entry, event.target.checked);
  drawCurves();
});
find("best-curves").addEventListener("click", () => showOnly([...entries.keys()].slice(0, 5)));
find("no-curve").addEventListener("click", () => showOnly([]));
showOnly([...entries.keys()].slice(0, 5));
