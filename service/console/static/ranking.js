// A ranking as a table and as a sheet: scores side by side, rank changes, the teacher's mismatches.

import { el } from "./dom.js";
import { label, VERDICT_GLYPHS } from "./evidence.js";
import { score, short } from "./format.js";
import { bar } from "./scale.js";
import { aspectName, known, t } from "./strings.js";

/** The aspects that mismatch, by the teacher; none while it has not answered. */
export const mismatchesOf = (row) =>
  (row.reasons?.aspects ?? []).filter((finding) => finding.verdict === "mismatch").map((finding) => finding.aspect);

/** Every aspect that mismatches in some row. */
export const aspectsOf = (rows) => [...new Set(rows.flatMap(mismatchesOf))].sort();

/** Whether teacher and student put a pair on different sides. */
export const disagrees = (row) => Boolean(row.reasons?.label && row.first.label && row.reasons.label !== row.first.label);

/** The rows shown, out of so many. */
export function rankingTable(ranking, rows, all) {
  const count = el("p", { class: "muted", text: t("shownRows", { shown: rows.length, all }) });
  if (!rows.length) return [count, el("p", { class: "intro", text: t("noRows") })];
  const compared = ranking.compared;
  const heads = [
    ["rank", "number"],
    ["item", ""],
    [null, "score-head", compared ? t("firstScoreOf", { bundle: short(ranking.bundle) }) : t("firstScore")],
    compared && [null, "score-head", t("firstScoreOf", { bundle: short(compared.bundle) })],
    compared && [null, "number", t("rankOf", { bundle: short(compared.bundle) })],
    ["teacher", ""],
    ["mismatches", ""],
  ].filter(Boolean);
  const head = heads.map(([key, kind, text]) => el("th", { scope: "col", class: kind, text: text ?? t(key) }));
  const body = rows.map((row) => line(ranking, row));
  return [
    count,
    el("table", { class: "plain ranks" }, el("thead", {}, el("tr", {}, head)), el("tbody", {}, body)),
  ];
}

function line(ranking, row) {
  const compared = ranking.compared;
  return el(
    "tr",
    { class: disagrees(row) ? "disagrees" : null },
    el("td", { class: "number rank", "data-head": t("rank"), text: row.first.rank ?? "\u2013" }),
    el("th", { scope: "row", class: "item" }, pairLink(ranking.query, row), el("span", { class: "title", text: row.item.title })),
    scoreCell(row.first, ranking.threshold, compared ? short(ranking.bundle) : t("firstScore")),
    compared && scoreCell(row.second, compared.threshold, short(compared.bundle)),
    compared && el("td", { class: "number", "data-head": t("rankOf", { bundle: short(compared.bundle) }) }, el("div", {}, change(row))),
    el("td", { "data-head": t("teacher") }, row.reasons ? label(row.reasons.label) : el("span", { class: "muted", text: row.known ? "\u2026" : "\u2013" })),
    el("td", { "data-head": t("mismatches") }, el("div", {}, chips(row))),
  );
}

function pairLink(query, row) {
  const item = row.known ? { id: row.item.id } : { title: row.item.title };
  const words = new URLSearchParams({ q: query, ...item });
  const spoken = `${t("openPair")}: ${row.item.id}`;
  return el("a", { href: `#/pair?${words}`, class: "id", "aria-label": spoken, title: t("openPair"), text: row.item.id });
}

function scoreCell(place, threshold, head) {
  if (place.score === null) {
    return el("td", { class: "score-cell muted", "data-head": head, text: known(`status_${place.status}`, place.status) });
  }
  const number = el("span", { class: "figure", text: score(place.score) });
  return el("td", { class: "score-cell", "data-head": head }, el("span", { class: "score" }, bar(place.score, threshold), number, label(place.label)));
}

/** A row's rank under the second bundle and how far that is from the first's. */
function change(row) {
  const [first, second] = [row.first.rank, row.second.rank];
  if (first === null && second === null) return el("span", { class: "muted", text: "\u2013" });
  if (first === null) return [`${second} `, moved("new", "\u25b2", t("changeNew"))];
  if (second === null) return ["\u2013 ", moved("out", "\u25bc", t("changeOut"))];
  const places = Math.abs(first - second);
  if (!places) return [`${second} `, moved("same", "=", t("changeSame"))];
  const step =
    second < first
      ? moved("up", `\u25b2${places}`, t("changeUp", { places }))
      : moved("down", `\u25bc${places}`, t("changeDown", { places }));
  return [`${second} `, step];
}

function moved(kind, text, words) {
  return el("span", { class: `moved ${kind}`, title: words }, el("span", { "aria-hidden": "true", text }), el("span", { class: "spoken", text: words }));
}

function chips(row) {
  if (!row.reasons) return null;
  const found = mismatchesOf(row);
  if (!found.length) return el("span", { class: "muted", text: t("noMismatch") });
  return found.map((aspect) =>
    el("span", { class: "chip" }, el("span", { "aria-hidden": "true", text: `${VERDICT_GLYPHS.mismatch} ` }), aspectName(aspect)),
  );
}

/** The same rows for a spreadsheet, head first; floats keep every bit. */
export function sheet(ranking, rows) {
  const compared = ranking.compared;
  const head = ["query", "item_id", "title", "bundle", "rank", "score", "label", "status"];
  if (compared) head.push("second_bundle", "second_rank", "second_score", "second_label");
  head.push("teacher_label", "teacher_score", "mismatches");
  const body = rows.map((row) => {
    const cells = [ranking.query, row.known ? row.item.id : "", row.item.title, ranking.bundle];
    cells.push(row.first.rank, row.first.score, row.first.label, row.first.status);
    if (compared) cells.push(compared.bundle, row.second.rank, row.second.score, row.second.label);
    return [...cells, row.reasons?.label, row.reasons?.score, mismatchesOf(row).join(" ")];
  });
  return [head, ...body];
}
