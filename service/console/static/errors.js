// The errors view: the report of `ellm teach audit` (relevance-audit/1), read in the browser alone.

import { card, el, fill } from "./dom.js";
import { findings, label, marked } from "./evidence.js";
import { count, percent, score } from "./format.js";
import { aspectName, known, t } from "./strings.js";

const FORMAT = "relevance-audit/1";
const AT_ONCE = 20; // rows of a list before one asks for more

let opened = null; // kept while one looks at a pair and comes back

export function errorsView(shell) {
  const place = el("div", { class: "answer" });
  const open = async (file) => {
    try {
      opened = read(await file.text());
    } catch {
      fill(place, el("p", { class: "fault", role: "alert", text: t("notAudit", { file: file.name }) }));
      return;
    }
    if (!shell.signal.aborted) fill(place, report(opened));
  };
  const input = el("input", { type: "file", id: "audit", accept: ".json,application/json", class: "spoken" });
  input.addEventListener("change", () => input.files[0] && open(input.files[0]));
  const drop = el(
    "div",
    {
      class: "drop",
      ondragover: (event) => event.preventDefault(),
      ondrop: (event) => {
        event.preventDefault();
        if (event.dataTransfer.files[0]) open(event.dataTransfer.files[0]);
      },
    },
    el("p", { text: t("errorsIntro") }),
    el("p", {}, input, el("label", { for: "audit", class: "button", text: t("chooseFile") }), ` ${t("dropHere")}`),
  );
  if (opened) fill(place, report(opened));
  return [drop, place];
}

/** The report in a text; raises where it is not one. */
function read(text) {
  const audit = JSON.parse(text);
  if (audit.format !== FORMAT || !Array.isArray(audit.pairs)) throw new Error(FORMAT);
  report(audit); // draws once unseen: whatever is missing shows here, and not half drawn
  return audit;
}

function report(audit) {
  return el(
    "div",
    { class: "cards" },
    wide(card(t("auditOf", { dataset: audit.dataset, judge: audit.judge.name, target: audit.judge.target }), counts(audit.counts))),
    wide(card(t("labelErrorsCard"), el("p", { class: "muted", text: t("labelErrorsHelp") }), measured(audit.label_errors.measured), labelErrors(audit))),
    wide(card(t("byAspectCard"), byAspect(audit))),
    wide(card(t("worstCard"), worstQueries(audit))),
    wide(card(t("samplesCard"), samples(audit))),
    wide(card(t("slicesCard"), slices(audit))),
  );
}

function wide(section) {
  section.classList.add("wide");
  return section;
}

function counts(found) {
  const shown = { countPairs: "pairs", countQueries: "queries", countBad: "bad", countJudged: "judged", countStudent: "with_student" };
  const one = ([key, name]) => el("div", {}, el("dt", { text: t(key) }), el("dd", { class: "figure", text: count(found[name]) }));
  return el("dl", { class: "counts" }, Object.entries(shown).map(one));
}

function measured(found) {
  const first = found?.precision_at?.[0];
  if (!first) return null;
  const values = { k: first.k, precision: share(first.teacher), base: share(found.base_rate) };
  return el("p", { text: t("measured", values) });
}

const share = (value) => (value === null || value === undefined ? "\u2013" : percent(value));

/** A table whose later rows wait for a click; `columns` are [head, class, cell of a row]. */
function longTable(columns, rows, kind = "") {
  if (!rows.length) return el("p", { class: "muted", text: t("nothingHere") });
  const body = el("tbody");
  const place = el("div", { class: "scroll" });
  const draw = (from) => {
    for (const row of rows.slice(from, from + AT_ONCE)) {
      body.append(el("tr", {}, columns.map(([head, className, cell]) => el("td", { class: className, "data-head": head }, el("div", {}, cell(row))))));
    }
    const left = rows.length - from - AT_ONCE;
    const more = el("button", { type: "button", class: "quiet", text: t("showMore", { more: Math.min(left, AT_ONCE) }), onclick: () => draw(from + AT_ONCE) });
    fill(place, table, left > 0 ? more : null);
  };
  const heads = columns.map(([head, className]) => el("th", { scope: "col", class: className, text: head }));
  const table = el("table", { class: `plain ${kind}` }, el("thead", {}, el("tr", {}, heads)), body);
  draw(0);
  return place;
}

function judged(opinion) {
  if (!opinion) return el("span", { class: "muted", text: "\u2013" });
  return [label(opinion.label), " ", el("span", { class: "figure", text: score(opinion.score) })];
}

function pairCell(pair) {
  const words = new URLSearchParams({ q: pair.query, id: pair.item_id });
  const of = (side) => pair.spans.filter((span) => span.side === side);
  return [
    el("p", {}, el("strong", { text: pair.query }), " ", el("a", { class: "id", href: `#/pair?${words}`, text: pair.item_id })),
    el("p", { text: pair.title }),
    el("details", {}, el("summary", { text: t("showEvidence") }), marked(pair.query, of("query")), marked(pair.title, of("title")), findings(pair.aspects)),
  ];
}

function pairTable(audit, indices) {
  const columns = [
    [t("pairView"), "pair", pairCell],
    [t("human"), "", (pair) => label(pair.human)],
    [t("teacher"), "", (pair) => judged(pair.teacher)],
    [t("student"), "", (pair) => judged(pair.student)],
    [t("cause"), "", (pair) => (pair.cause ? aspectName(pair.cause) : "\u2013")],
    [t("suspicion"), "number", (pair) => score(pair.suspicion)],
  ];
  return longTable(columns, indices.map((at) => audit.pairs[at]), "stacks");
}

const labelErrors = (audit) => pairTable(audit, audit.label_errors.pairs);

function byAspect(audit) {
  const columns = [
    [t("aspect"), "", (row) => aspectName(row.aspect)],
    [t("badPairs"), "number", (row) => count(row.bad_pairs)],
    [t("studentMissed"), "number", (row) => (row.student_missed === null ? "\u2013" : count(row.student_missed))],
    [t("missedShare"), "number", (row) => share(row.bad_pairs && row.student_missed !== null ? row.student_missed / row.bad_pairs : null)],
    [t("accused"), "number", (row) => count(row.good_pairs_accused)],
  ];
  const rows = audit.aspects.filter((row) => row.bad_pairs || row.good_pairs_accused);
  return longTable(columns, rows, "stacks");
}

function worstQueries(audit) {
  const link = (row) => el("a", { href: `#/query?${new URLSearchParams({ q: row.query })}`, text: row.query });
  const columns = [
    [t("query"), "pair", link],
    [t("headTail"), "", (row) => t(row.head ? "head" : "tail")],
    [t("pairsHead"), "number", (row) => count(row.pairs)],
    [t("wrong"), "number", (row) => count(row.wrong)],
    [t("leastShare"), "number", (row) => share(row.least_share_wrong)],
    [t("teacherWrong"), "number", (row) => count(row.teacher_wrong)],
  ];
  return longTable(columns, audit.worst_queries, "stacks");
}

function samples(audit) {
  const kinds = Object.keys(audit.samples);
  const place = el("div");
  const select = el("select", { id: "kind" }, kinds.map((kind) => el("option", { value: kind, text: `${known(`kind_${kind}`, kind)} (${audit.samples[kind].length})` })));
  const draw = () => fill(place, pairTable(audit, audit.samples[select.value] ?? []));
  select.addEventListener("change", draw);
  draw();
  return el("div", {}, el("label", { class: "inline", for: "kind" }, t("kind"), " ", select), place);
}

function slices(audit) {
  const columns = [
    [t("slice"), "", (row) => row.slice],
    [t("pairsHead"), "number", (row) => count(row.pairs)],
    [t("shareBad"), "number", (row) => share(row.share_bad)],
    [t("teacherWrong"), "number", (row) => share(row.teacher_wrong)],
    [t("studentWrong"), "number", (row) => share(row.student_wrong)],
    [t("teacherAuc"), "number", (row) => share(row.teacher_roc_auc)],
    [t("studentAuc"), "number", (row) => share(row.student_roc_auc)],
  ];
  return longTable(columns, audit.slices, "stacks");
}
