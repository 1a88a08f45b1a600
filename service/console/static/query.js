// The query view: ranking candidates under one bundle or two, filtered, exported, or labelled.

import { ask } from "./api.js";
import { choice, el, field, fill } from "./dom.js";
import { csv, download } from "./csv.js";
import { milliseconds } from "./format.js";
import { labelling } from "./labelling.js";
import { aspectsOf, disagrees, mismatchesOf, rankingTable, sheet } from "./ranking.js";
import { aspectName, t } from "./strings.js";

const SIZES = [10, 20, 50, 100];
const AT_A_TIME = 5; // pairs asked of the teacher in one request: progress shows, leaving stops it
const FILTERS = { all: () => true, any: (row) => mismatchesOf(row).length > 0, disagreeing: disagrees };

export function queryView(shell) {
  const { parameters } = shell;
  let source = parameters.get("ids") ? "list" : "search";
  let asked = new AbortController();
  shell.signal.addEventListener("abort", () => asked.abort());
  const query = el("input", { type: "search", class: "text", id: "query", placeholder: t("queryPlaceholder"), maxlength: shell.info.max_query_chars });
  query.value = parameters.get("q") ?? "";
  const lines = el("textarea", { class: "text", id: "lines", rows: 4, spellcheck: "false" });
  lines.value = (parameters.get("ids") ?? "").replaceAll(",", "\n");
  const size = el("select", { id: "size" }, SIZES.map((one) => el("option", { value: one, selected: one === Number(parameters.get("k") ?? 20), text: one })));
  const slot = el("div", { class: "slot" });
  const answer = el("div", { class: "answer" });
  const place = (chosen) => {
    source = chosen;
    fill(slot, chosen === "list" ? field(t("candidateLines"), lines) : field(t("best"), size));
  };
  const run = async () => {
    asked.abort();
    asked = new AbortController();
    const own = asked.signal;
    const refused = (text) => fill(answer, el("p", { class: "fault", role: "alert", text }));
    if (!query.value.trim()) return refused(t("needQuery"));
    const typed = lines.value.split("\n").map((line) => line.trim()).filter(Boolean);
    if (source === "list" && !typed.length) return refused(t("needLines"));
    if (source === "list" && typed.length > shell.info.max_listed) return refused(t("tooMany", { most: shell.info.max_listed }));
    shell.remember(source === "list" ? { q: query.value, ids: typed.join(",") } : { q: query.value, k: size.value });
    answer.setAttribute("aria-busy", "true");
    try {
      const started = performance.now();
      const named = source === "list" ? { lines: typed } : { top_k: Number(size.value) };
      const ranking = await ask("rank", { query: query.value, ...named }, { signal: own });
      fill(answer, ranked(ranking, performance.now() - started, shell, own));
    } catch (problem) {
      if (problem.name !== "AbortError" && !own.aborted) fill(answer, shell.fault(problem));
    } finally {
      if (!own.aborted) answer.setAttribute("aria-busy", "false");
    }
    return null;
  };
  const form = el(
    "form",
    {
      class: "asking",
      onsubmit: (event) => {
        event.preventDefault();
        run();
      },
    },
    field(t("query"), query),
    choice(t("candidates"), "candidates", [["search", t("searchCatalogue")], ["list", t("rankThese")]], source, place),
    slot,
    el("button", { class: "primary", text: t("run") }),
  );
  place(source);
  if (query.value) run();
  else fill(answer, el("p", { class: "intro", text: t("queryIntro") }));
  return [form, second(shell.info), answer];
}

function second(info) {
  if (!info.compared_fault) return null;
  return el("p", { class: "note warn", text: t("secondFault", { fault: info.compared_fault }) });
}

/** A ranking with its tools; the teacher's reasons come in as they are given. */
function ranked(ranking, took, shell, signal) {
  if (!ranking.rows.length) return el("p", { class: "intro", text: t("noItems") });
  const place = el("div", { class: "ranking" });
  const progress = el("p", { class: "muted", "aria-live": "polite" });
  const rows = ranking.rows.map((row) => ({ ...row, reasons: null }));
  const filter = el("select", { id: "filter" });
  let asking = null;
  const shown = () => rows.filter((row) => (FILTERS[filter.value] ?? ((one) => mismatchesOf(one).includes(filter.value)))(row));
  const drawTable = () => {
    fillFilter(filter, rows);
    fill(place, rankingTable(ranking, shown(), rows.length));
  };
  const askTeacher = () => {
    asking = new AbortController();
    signal.addEventListener("abort", () => asking.abort());
    askReasons(ranking.query, rows, { signal: asking.signal, progress, heard: drawTable, teachers: shell.info.teachers });
  };
  filter.addEventListener("change", drawTable);
  const tools = el("div", { class: "tools" });
  const table = () => {
    fill(
      tools,
      el("label", { class: "inline", for: "filter" }, t("filterRows"), " ", filter),
      el("button", { type: "button", class: "quiet", text: t("exportCsv"), onclick: () => download("ranking.csv", csv(sheet(ranking, shown())), "text/csv") }),
      labelButton(shell, label),
      el("span", { class: "muted", text: t("rankTiming", { rows: rows.length, time: milliseconds(took) }) }),
    );
    drawTable();
    if (shell.info.asks_freely || !shell.info.teachers) askTeacher();
    else fill(progress, el("button", { type: "button", class: "quiet", text: t("askTeacher"), onclick: askTeacher }));
  };
  const label = () => {
    asking?.abort(); // nothing the teacher says may come in while somebody labels
    for (const row of rows) row.reasons = null;
    fill(progress);
    fill(tools, el("button", { type: "button", class: "quiet", text: t("stopLabelling"), onclick: table }));
    fill(place, labelling({ query: ranking.query, rows: rows.filter((row) => row.known), shell, signal }));
  };
  table();
  return [tools, progress, place];
}

function labelButton(shell, onclick) {
  if (shell.info.labels === null) return el("button", { type: "button", class: "quiet", disabled: true, title: t("labelOff"), text: t("labelPairs") });
  return el("button", { type: "button", class: "quiet", text: t("labelPairs"), onclick });
}

function fillFilter(filter, rows) {
  const chosen = filter.value || "all";
  const option = (value, text) => el("option", { value, selected: value === chosen, text });
  fill(
    filter,
    option("all", t("anyRow")),
    option("any", t("anyMismatch")),
    option("disagreeing", t("disagreeing")),
    el("optgroup", { label: t("filterMismatch") }, aspectsOf(rows).map((aspect) => option(aspect, aspectName(aspect)))),
  );
  if (!filter.value) filter.value = "all";
}

async function askReasons(query, rows, { signal, progress, heard, teachers }) {
  if (!teachers) {
    progress.textContent = t("noTeacher");
    return;
  }
  const known = rows.filter((row) => row.known);
  for (let at = 0; at < known.length; at += AT_A_TIME) {
    const some = known.slice(at, at + AT_A_TIME);
    progress.textContent = t("askingTeacher", { done: at, all: known.length });
    try {
      const { reasons } = await ask("reasons", { query, item_ids: some.map((row) => row.item.id) }, { signal });
      some.forEach((row, index) => (row.reasons = reasons[index]));
    } catch (problem) {
      if (problem.name !== "AbortError" && !signal.aborted) progress.textContent = problem.message;
      return;
    }
    if (signal.aborted) return;
    heard();
  }
  progress.textContent = "";
}
