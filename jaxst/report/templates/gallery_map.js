// The heat map: means by two settings. Uses the groups, filters and helpers of gallery.js.

const axes = ["down", "across"].map(find);
const number = find("number");

function mean(members, values) {
  const found = members.map(entry => values[entry]).filter(value => value !== null);
  return found.length ? found.reduce((sum, value) => sum + value, 0) / found.length : null;
}

/** From 0, the worst or lowest, to 1; logarithmic if positive numbers span two decades. */
function shadeOf(values, better) {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const scale = low > 0 && high > 100 * low ? Math.log : value => value;
  const share = value => high > low ? (scale(value) - scale(low)) / (scale(high) - scale(low)) : 0.5;
  return better === "low" ? value => 1 - share(value) : share;
}

function drawMap() {
  const [down, across] = axes.map(axis => Number(axis.value));
  const column = columns[number.value];
  const cells = groups[down].map((row, i) => groups[across].map((other, j) => {
    const members = [...row.members].filter(entry => other.members.has(entry));
    return { pairs: [[down, i], [across, j]], members, value: mean(members, column.values) };
  }));
  const means = cells.flat().map(cell => cell.value).filter(value => value !== null);
  const shade = shadeOf(means, column.better);
  const style = `width: ${100 / groups[across].length}%`;
  find("heat").replaceChildren(
    create("thead", {},
      create("tr", {}, create("td"),
        create("th", { colSpan: groups[across].length, className: "axis" }, settings[across].name)),
      create("tr", {}, create("th", { className: "axis" }, settings[down].name),
        ...groups[across].map(({ label }) => create("th", { scope: "col", style }, label)))),
    create("tbody", {}, ...groups[down].map(({ label }, i) =>
      create("tr", {}, create("th", { scope: "row", title: label }, label), ...cells[i].map(cell => heatCell(cell, shade, column))))));
  drawKey(means, column);
  markCells();
}

function heatCell({ pairs, members, value }, shade, { small }) {
  if (!members.length) return create("td", { className: "nothing" });
  const where = pairs.map(([index, group]) => `${settings[index].name} ${groups[index][group].label}`).join(", ");
  const title = `${where}: ${members.length} ${members.length === 1 ? "entry" : "entries"}`;
  const button = create("button", { type: "button", ariaPressed: "false", title }, numberText(value, small));
  button.pairs = pairs;
  if (value !== null) button.style.setProperty("--shade", `${100 * shade(value)}%`);
  button.addEventListener("click", () => {
    choose(button.ariaPressed === "true" ? [] : pairs);
    document.querySelector(".listing").scrollIntoView({ block: "nearest" });
  });
  return create("td", {}, button);
}

function drawKey(means, { better, small }) {
  const ends = means.length ? [Math.min, Math.max].map(end => numberText(end(...means), small)) : ["", ""];
  if (better === "low") ends.reverse();
  find("worst").textContent = better ? `worse ${ends[0]}` : ends[0];
  find("best").textContent = better ? `${ends[1]} better` : ends[1];
}

/** Show which cell the table is filtered to, if to one. */
function markCells() {
  const chosen = [...selects].filter(([, select]) => select.value);
  for (const button of document.querySelectorAll("#heat button")) {
    const pressed = !search.value && chosen.length === 2
      && button.pairs.every(([index, group]) => selects.get(index).value === String(group));
    button.ariaPressed = String(pressed);
  }
}

/** Both axes cannot show one setting: the other one takes what this one had. */
function chooseAxis(changed, other) {
  if (changed.value === other.value) other.value = changed.before;
  for (const axis of axes) axis.before = axis.value;
  drawMap();
}

if (varied.length > 1) {
  axes.forEach((axis, place) => {
    axis.append(...varied.map(index => new Option(settings[index].name, index)));
    axis.value = axis.before = varied[place];
    axis.addEventListener("change", () => chooseAxis(axis, axes[1 - place]));
  });
  number.append(...columns.map(({ name }, index) => new Option(name, index)));
  number.value = ranking;
  number.addEventListener("change", drawMap);
  find("map").hidden = false;
  drawMap();
}
