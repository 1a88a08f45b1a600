// The pair view: one query with one item, from the score down to every token's similarity.

import { contributions, disagreement } from "./alignment.js";
import { ask, listen } from "./api.js";
import { combobox } from "./combobox.js";
import { append, card, choice, el, field, fill } from "./dom.js";
import { findings, label, marked } from "./evidence.js";
import { logit, milliseconds, score } from "./format.js";
import { heatmap } from "./heatmap.js";
import { glyphOf, scale } from "./scale.js";
import { known, t } from "./strings.js";

const PASTED = "pasted"; // the id of an item that has none

export function pairView(shell) {
  const { parameters } = shell;
  const state = { query: parameters.get("q") ?? "", id: parameters.get("id") ?? "", title: parameters.get("title") ?? "" };
  let source = state.title ? "text" : "catalogue";
  let asked = new AbortController();
  shell.signal.addEventListener("abort", () => asked.abort());
  const answer = el("div", { class: "answer", "aria-live": "off" });
  const query = el("input", { type: "search", class: "text", id: "query", placeholder: t("queryPlaceholder"), maxlength: shell.info.max_query_chars });
  query.value = state.query;
  const item = combobox({ value: state.id, placeholder: t("itemPlaceholder"), label: t("proposals"), onpick: () => explain() });
  item.input.id = "item";
  const title = el("textarea", { class: "text", id: "title", rows: 2, placeholder: t("pastedPlaceholder") });
  title.value = state.title;
  const slot = el("div", { class: "slot" });
  const place = (chosen) => {
    source = chosen;
    fill(slot, chosen === "text" ? field(t("pastedTitle"), title) : itemField(item));
  };
  const explain = async () => {
    asked.abort();
    asked = new AbortController();
    const pair = source === "text" ? { item: { id: PASTED, title: title.value } } : { item_id: item.input.value.trim() };
    const chosen = source === "text" ? title.value.trim() : pair.item_id;
    if (!query.value.trim() || !chosen) {
      fill(answer, el("p", { class: "fault", role: "alert", text: t("needBoth") }));
      return;
    }
    shell.remember(source === "text" ? { q: query.value, title: title.value } : { q: query.value, id: pair.item_id });
    await show(answer, { query: query.value, ...pair }, shell, asked.signal);
  };
  const form = el(
    "form",
    {
      class: "asking",
      onsubmit: (event) => {
        event.preventDefault();
        explain();
      },
    },
    field(t("query"), query),
    choice(t("itemFrom"), "source", [["catalogue", t("fromCatalogue")], ["text", t("fromText")]], source, place),
    slot,
    el("button", { class: "primary", text: t("explain") }),
  );
  place(source);
  if (state.query && (state.id || state.title)) explain();
  else fill(answer, el("p", { class: "intro", text: t("pairIntro") }));
  return [form, answer];
}

function itemField(item) {
  return el("div", { class: "field" }, el("label", { for: item.input.id, text: t("item") }), item.element);
}

async function show(answer, body, shell, signal) {
  answer.setAttribute("aria-busy", "true");
  const started = performance.now();
  try {
    const pair = await ask("pair", body, { signal });
    const drawn = draw(pair, performance.now() - started);
    fill(answer, drawn.element);
    answer.setAttribute("aria-busy", "false");
    await hearTeacher(body, drawn, signal, shell);
  } catch (problem) {
    if (problem.name === "AbortError" || signal.aborted) return;
    answer.setAttribute("aria-busy", "false");
    fill(answer, shell.fault(problem));
  }
}

async function hearTeacher(body, drawn, signal, shell) {
  const started = performance.now();
  try {
    await listen("explain", body, {
      signal,
      heard: (event, data) => {
        if (event === "delta") drawn.heardText(data.text);
        else if (event === "reply") drawn.heardReasons(data, performance.now() - started);
        else if (event === "error") drawn.teacherFailed(el("p", { class: "fault", role: "alert", text: data.error.message }));
      },
    });
  } catch (problem) {
    if (problem.name !== "AbortError" && !signal.aborted) drawn.teacherFailed(shell.fault(problem));
  }
}

/** All cards of a pair: the student's at once, the teacher's as they are heard. */
function draw(pair, roundTrip) {
  const waiting = () => el("p", { class: "muted", text: t("waitingTeacher") });
  const slots = Object.fromEntries(["verdict", "texts", "aspects", "shares", "thought", "details"].map((name) => [name, el("div")]));
  const thought = el("pre", { class: "thought", tabindex: "0", "aria-label": t("thoughtCard") });
  let reasons = null;
  let teacherTrip = null;
  const redraw = () => {
    const spans = reasons?.spans ?? [];
    fill(slots.verdict, verdictOf(pair, reasons));
    fill(slots.texts, textsOf(pair, spans));
    fill(slots.aspects, reasons ? findings(reasons.aspects) : waiting());
    if (pair.score !== null) fill(slots.shares, sharesOf(pair, spans));
    fill(slots.details, detailsOf(pair, reasons, roundTrip, teacherTrip));
  };
  redraw();
  fill(slots.thought, waiting(), thought);
  const element = el(
    "div",
    { class: "cards" },
    el("div", { class: "stack" }, card(t("verdictCard"), slots.verdict), card(t("aspectsCard"), slots.aspects)),
    el(
      "div",
      { class: "stack" },
      card(t("textsCard"), slots.texts),
      pair.score === null ? null : card(t("contributionsCard"), slots.shares),
    ),
    pair.score === null ? null : wide(card(t("heatCard"), heatmap(pair))),
    card(t("thoughtCard"), slots.thought),
    card(t("detailsCard"), slots.details),
  );
  return {
    element,
    heardText: (text) => thought.append(text),
    heardReasons: (reply, took) => {
      reasons = reply;
      teacherTrip = took;
      redraw();
      thought.textContent = reply.chain_of_thought ?? "";
      fill(slots.thought, teacherLine(reply), reply.chain_of_thought ? thought : el("p", { class: "muted", text: t("noThought") }));
    },
    teacherFailed: (message) => {
      fill(slots.aspects, el("p", { class: "muted", text: t("noAspects") }));
      fill(slots.thought, message);
    },
  };
}

function wide(section) {
  section.classList.add("wide");
  return section;
}

function verdictOf(pair, reasons) {
  if (pair.score === null) return el("p", { class: "fault", text: t("noScore") });
  const teacher = reasons?.teacher ?? {};
  const marks = [
    { judge: "student", score: pair.score },
    { judge: "teacher", score: teacher.score ?? null },
  ];
  const lines = [judgeLine("student", pair.score, pair.label, t("logitOf", { value: logit(pair.logit) }))];
  if (typeof teacher.score === "number") lines.push(judgeLine("teacher", teacher.score, teacher.label, teacher.judge));
  return append(el("div"), [
    scale(pair.threshold, marks),
    el("dl", { class: "judges" }, lines),
    reasons ? agreementOf(pair, reasons) : el("p", { class: "muted", text: t("waitingTeacher") }),
  ]);
}

function judgeLine(judge, value, given, note) {
  return el(
    "div",
    { class: "judge" },
    el("dt", {}, el("span", { class: `glyph ${judge}`, "aria-hidden": "true", text: glyphOf(judge) }), ` ${t(judge)}`),
    el("dd", { class: "figure", text: score(value), title: t("probability") }),
    el("dd", {}, label(given)),
    el("dd", { class: "muted", text: note ?? "" }),
  );
}

function agreementOf(pair, reasons) {
  const given = reasons.teacher.label;
  if (!given) return teacherLine(reasons);
  const disputed = pair.contributions.filter((one) => disagreement(one, reasons.spans, pair.needed));
  const names = [...new Set(disputed.map((one) => `\u201c${one.token}\u201d`))].join(", ");
  const agrees = given === pair.label;
  return el(
    "div",
    { class: agrees ? "note" : "note warn" },
    el("p", { text: agrees ? t("agree") : t("disagree", { student: t(pair.label), teacher: t(given) }) }),
    names && el("p", { text: t("disputedTokens", { tokens: names }) }),
  );
}

function textsOf(pair, spans) {
  const of = (side) => spans.filter((span) => span.side === side);
  return append(el("div"), [
    el("h3", { text: t("query") }),
    marked(pair.query, of("query")),
    pair.query_truncated && el("p", { class: "muted", text: t("truncatedQuery") }),
    el("h3", {}, t("itemText"), " ", el("span", { class: "id", text: pair.id })),
    marked(pair.item_text, of("title")),
    pair.truncated && el("p", { class: "muted", text: t("truncatedItem") }),
    el(
      "p",
      { class: "legend", "aria-hidden": "true" },
      ["relevant", "irrelevant"].map((kind) => el("span", { class: "legend-item" }, el("mark", { class: kind, text: kind === "relevant" ? "\u2713" : "\u2715" }), ` ${t(kind)}`)),
    ),
  ]);
}

function sharesOf(pair, spans) {
  const help = pair.needed === null ? null : el("p", { class: "muted", text: t("contributionsHelp", { needed: logit(pair.needed) }) });
  return append(el("div"), [help, el("div", { class: "scroll" }, contributions(pair, spans))]);
}

const stateText = (state) => known(`state${state[0].toUpperCase()}${state.slice(1)}`, state);
const originText = (origin) => known(`origin${origin[0].toUpperCase()}${origin.slice(1)}`, origin);

function teacherLine(reply) {
  const { state, judge, tried } = reply.teacher;
  const said = tried.map((one) => t("triedTeacher", { origin: originText(one.origin), state: stateText(one.state) }));
  const words = said.length ? said : [t("noTeacherHere")];
  if (judge) words.push(`${t("judge")}: ${judge}.`);
  return el("p", { class: state === "ok" ? "muted" : "note warn", text: words.join(" ") });
}

function detailsOf(pair, reasons, roundTrip, teacherTrip) {
  const stages = Object.entries(pair.stage_ms).map(([stage, taken]) => [known(`stage_${stage}`, stage), milliseconds(taken)]);
  const rows = [
    [t("status"), pair.status],
    [t("bundle"), pair.bundle],
    [t("generation"), `${pair.generation} + ${pair.sequence} ${t("sequence")}`],
    [t("degraded"), pair.degraded.join(", ") || t("none")],
    [t("roundTrip"), milliseconds(roundTrip)],
    ...stages,
    ["encode" in pair.stage_ms ? null : t("stage_encode"), t("cachedQuery")],
    [reasons ? t("teacherTrip") : null, teacherTrip === null ? "" : milliseconds(teacherTrip)],
    [reasons?.teacher.fingerprint ? t("fingerprint") : null, reasons?.teacher.fingerprint],
  ];
  return el(
    "dl",
    { class: "details" },
    rows.filter(([name]) => name !== null).map(([name, value]) => [el("dt", { text: name }), el("dd", { text: value })]),
  );
}
