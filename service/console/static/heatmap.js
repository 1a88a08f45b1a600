// Token by token similarities as a grid one can walk through; MaxSim's path is marked.

import { el } from "./dom.js";
import { cosine } from "./format.js";
import { t } from "./strings.js";

const LEVELS = 20; // shades; the number itself is read out below the grid

/** The grid of a pair: a row a query token, a column an item token. */
export function heatmap(pair) {
  const readout = el("p", { class: "readout", "aria-live": "polite", text: t("heatHint") });
  const cells = pair.cosines.map((values, row) => values.map((value, column) => cell(pair, row, column, value)));
  const head = el(
    "tr",
    {},
    el("td", { class: "corner" }),
    pair.item_tokens.map((token) => el("th", { scope: "col" }, el("span", { text: token.token }))),
  );
  const rows = cells.map((row, at) =>
    el("tr", {}, el("th", { scope: "row", text: pair.contributions[at].token }), row),
  );
  const label = t("heatLabel", { rows: rows.length, columns: pair.item_tokens.length });
  const grid = el(
    "table",
    { class: "heat", role: "grid", "aria-label": label },
    el("thead", {}, head),
    el("tbody", {}, rows),
  );
  grid.style.setProperty("--columns", pair.item_tokens.length);
  walk(grid, cells, (row, column) => {
    readout.textContent = reading(pair, row, column);
  });
  return el("div", {}, el("div", { class: "heat-scroll" }, grid), readout, legend());
}

function cell(pair, row, column, value) {
  const level = Math.round(LEVELS * Math.min(1, Math.max(0, value)));
  const onPath = pair.best[row] === column;
  return el("td", {
    class: `h${level}${onPath ? " path" : ""}`,
    role: "gridcell",
    tabindex: "-1",
    "aria-label": reading(pair, row, column),
    "data-at": `${row} ${column}`,
    text: onPath ? "\u25cf" : null,
  });
}

function reading(pair, row, column) {
  const values = {
    query: pair.contributions[row].token,
    item: pair.item_tokens[column].token,
    cosine: cosine(pair.cosines[row][column]),
  };
  return t(pair.best[row] === column ? "heatBest" : "heatCell", values);
}

const STEPS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };

function walk(grid, cells, shown) {
  if (!cells.length) return;
  let here = cells[0][0];
  here.tabIndex = 0;
  const place = (element) => element.dataset.at.split(" ").map(Number);
  const found = (event) => event.target.closest?.("td[data-at]");
  grid.addEventListener("mouseover", (event) => found(event) && shown(...place(found(event))));
  grid.addEventListener("focusin", (event) => {
    const now = found(event);
    if (!now) return;
    here.tabIndex = -1;
    here = now;
    here.tabIndex = 0;
    shown(...place(here));
  });
  grid.addEventListener("keydown", (event) => {
    const [row, column] = place(here);
    const step = STEPS[event.key];
    if (step) cells[row + step[0]]?.[column + step[1]]?.focus();
    else if (event.key === "Home") cells[row][0].focus();
    else if (event.key === "End") cells[row].at(-1).focus();
    else return;
    event.preventDefault();
  });
}

function legend() {
  const shades = Array.from({ length: LEVELS + 1 }, (_, level) => el("span", { class: `h${level}` }));
  return el(
    "p",
    { class: "legend", "aria-hidden": "true" },
    el("span", { text: `${t("cosineHead")} 0` }),
    el("span", { class: "shades" }, shades),
    el("span", { text: "1" }),
    el("span", { class: "path-key", text: "\u25cf" }),
    el("span", { text: t("maxsimPath") }),
  );
}
