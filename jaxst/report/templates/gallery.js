"use strict";

// Entries are numbered as the page has them at first: the best is 0.
const { settings, columns, entries, ranking, colors } = JSON.parse(find("data").textContent);
const MOST_VALUES = 24;  // of an axis, before its numbers are gathered in ranges
const rows = [...find("entries").rows];
const varied = [...settings.keys()].filter(index => new Set(settings[index].values).size > 1);
const groups = settings.map(grouped);

function find(id) { return document.getElementById(id); }

function create(name, properties = {}, ...children) {
  const element = Object.assign(document.createElement(name), properties);
  element.append(...children);
  return element;
}

/** As `number_text` of jaxst/report/table.py; three digits in a column of small numbers. */
function numberText(value, small) {
  if (value === null) return "—";
  if (small) return shortText(value, 3);
  const size = Math.abs(value);
  const text = size < 1e6 ? value.toFixed(size < 10 ? 3 : size < 1000 ? 1 : 0)
    : Number(value.toPrecision(3)).toExponential().replace(/\+(\d)$/, "+0$1");
  return Number(text) === 0 ? text.replace("-", "") : text.replace("-", "−");
}

function shortText(value, digits) {
  const rounded = Number(value.toPrecision(digits)), size = Math.abs(rounded);
  return (size > 0 && size < 1e-4 ? rounded.toExponential() : String(rounded)).replaceAll("-", "−");
}

/** What distinguishes an entry, in words. */
function settingsText(entry) {
  return varied.map(index => {
    const { name, values, texts } = settings[index];
    return `${name} ${typeof values[entry] === "number" ? shortText(values[entry], 3) : texts[entry]}`;
  }).join(", ");
}

/** For sorting: numbers before text, and what is missing last, whichever the direction (1 or -1). */
function compare(a, b, direction) {
  if (a === null || b === null) return (a === null) - (b === null);
  if (typeof a !== typeof b) return typeof a === "number" ? -1 : 1;
  return direction * (typeof a === "number" ? a - b : a.localeCompare(b, undefined, { numeric: true }));
}

/** The values of a setting in order, each with its entries; ranges of values where there are many numbers. */
function grouped({ values, texts }) {
  const numbers = values.filter(value => typeof value === "number").sort((a, b) => a - b);
  const many = new Set(numbers).size > MOST_VALUES && numbers.length === values.length;
  const key = many ? ranges(numbers) : value => value;
  const found = new Map();
  const order = [...values.keys()].sort((a, b) => compare(values[a], values[b], 1));
  for (const entry of order) {
    const group = key(values[entry]);
    found.set(group, [...found.get(group) ?? [], entry]);
  }
  return [...found.values()].map(members => {
    const [low, high] = [members[0], members.at(-1)].map(entry => many ? shortText(values[entry], 3) : texts[entry]);
    return { label: low === high ? low : `${low}\u00a0– ${high}`, members: new Set(members) };
  });
}

/** Which of at most 6 ranges a number falls in, all with about as many; equal ones share a range. */
function ranges(sorted) {
  const count = Math.min(6, Math.max(3, Math.round(Math.sqrt(sorted.length / 6))));
  return value => Math.floor(count * sorted.indexOf(value) / sorted.length);
}

// The table: order

const headers = [...document.querySelectorAll("#table [aria-sort]")];
const sortKeys = [entries.map(entry => entry.name), ...settings.map(s => s.values), ...columns.map(c => c.values)];

function sortBy(index) {
  const column = columns[index - 1 - settings.length];
  const first = column?.better === "high" ? "descending" : "ascending";
  const other = first === "ascending" ? "descending" : "ascending";
  const wanted = headers[index].ariaSort === first ? other : first;
  headers.forEach(header => { header.ariaSort = "none"; });
  headers[index].ariaSort = wanted;
  const values = sortKeys[index], direction = wanted === "ascending" ? 1 : -1;
  const order = [...rows.keys()].sort((a, b) => compare(values[a], values[b], direction));
  find("entries").append(...order.map(entry => rows[entry]));
}

headers.forEach((header, index) => header.firstElementChild.addEventListener("click", () => sortBy(index)));

// The table: filters

const search = find("search");
const selects = new Map(varied.map(index => [index, groupSelect(index)]));
const searched = entries.map(({ name, status }, entry) =>
  [name, status, ...settings.map(s => `${s.name}=${s.texts[entry]}`)].join(" ").toLowerCase());

function groupSelect(index) {
  const select = create("select", { onchange: filter }, new Option("any", ""));
  select.append(...groups[index].map(({ label }, group) => new Option(label, group)));
  find("selects").append(create("label", {}, `${settings[index].name} `, select));
  return select;
}

function filter() {
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  const chosen = [...selects].filter(([, select]) => select.value);
  rows.forEach((row, entry) => {
    const found = words.every(word => searched[entry].includes(word));
    row.hidden = !found || !chosen.every(([index, { value }]) => groups[index][value].members.has(entry));
  });
  const shown = rows.filter(row => !row.hidden).length;
  find("count").textContent = shown === rows.length ? `${shown} shown` : `${shown} of ${rows.length} shown`;
  find("reset").hidden = !words.length && !chosen.length;
  markCells();
}

/** Choose a group for some settings, [index, group], and any for the others. */
function choose(pairs) {
  search.value = "";
  for (const select of selects.values()) select.value = "";
  for (const [index, group] of pairs) selects.get(index).value = group;
  filter();
}

search.addEventListener("input", filter);
find("reset").addEventListener("click", () => { choose([]); search.focus(); });
filter();

// The player: one for all rows, which gets an address when it is to play

const player = find("player");
const audio = player.querySelector("audio");
let current = null;  // the button of what is loaded

function load(button) {
  if (current) current.closest("tr").classList.remove("loaded");
  current = button;
  player.hidden = false;
  audio.src = button.dataset.src;
  const row = button.closest("tr");
  row.classList.add("loaded");
  find("playing").textContent = button.dataset.name;
  find("playing-settings").textContent = rows.includes(row) ? settingsText(rows.indexOf(row)) : "";
}

function play(button, seconds = null) {
  if (button !== current) { stopped(); load(button); }
  if (seconds !== null) audio.currentTime = seconds;
  audio.play().catch(() => {});  // the error event tells
}

function stopped() { if (current) current.ariaPressed = "false"; }

function place() {
  const playhead = current.closest("tr").querySelector(".playhead");
  playhead.style.left = `${100 * audio.currentTime / current.dataset.seconds}%`;
}

function follow() { place(); if (!audio.paused) requestAnimationFrame(follow); }

find("table").addEventListener("click", event => {
  const button = event.target.closest(".play"), picture = event.target.closest(".thumb");
  if (button) button === current && !audio.paused ? audio.pause() : play(button);
  if (picture) {
    const box = picture.getBoundingClientRect(), target = picture.closest("tr").querySelector(".play");
    play(target, (event.clientX - box.left) / box.width * target.dataset.seconds);
  }
});
audio.addEventListener("play", () => { current.ariaPressed = "true"; follow(); });
audio.addEventListener("pause", stopped);
audio.addEventListener("seeked", place);
audio.addEventListener("error", () => {
  stopped();
  find("playing-settings").textContent = "cannot be played: is the file still beside this page?";
});
