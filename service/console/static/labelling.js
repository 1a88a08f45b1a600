// Labelling pairs by keyboard. The teacher's opinion comes with the reply to a label, never before.

import { ask } from "./api.js";
import { el, fill } from "./dom.js";
import { label as labelOf } from "./evidence.js";
import { percent, score } from "./format.js";
import { t } from "./strings.js";

/** A panel that goes through the rows of a query in an order that tells nothing of their scores. */
export function labelling({ query, rows, shell, signal }) {
  const order = [...rows].sort((one, other) => spread(query + one.item.id) - spread(query + other.item.id));
  const panel = el("section", { class: "card labelling", "aria-labelledby": "labelling" });
  const stage = el("div");
  const told = el("div", { class: "told", "aria-live": "polite" });
  const done = []; // {row, reply, teacher}, the last given last; no reply for a skipped pair
  let labels = shell.info.labels;
  let at = 0;
  let given = {}; // labels of earlier sittings, by item id
  let keeping = false;

  const show = () => {
    const row = order[at];
    fill(stage, row ? [question(query, row, given[row.item.id]), buttons()] : el("p", { class: "intro", text: t(order.length ? "labelDone" : "onlyCatalogue") }));
    if (!row && done.length) stage.append(el("button", { type: "button", class: "quiet", text: t("undo"), onclick: undo }));
    fill(progress, t("labelProgress", { at: Math.min(at + 1, order.length), all: order.length }), " \u00b7 ", t("labelsKept", { labels, file: shell.info.labels_file }));
  };
  const buttons = () =>
    el(
      "div",
      { class: "tools" },
      act("primary good", `\u2713 ${t("good")}`, "G", () => choose("Good")),
      act("primary bad", `\u2715 ${t("bad")}`, "B", () => choose("Bad")),
      act("quiet", t("skipPair"), "S", skip),
      act("quiet", t("undo"), "U", undo, !done.length),
    );
  const keep = async (row, label) => {
    keeping = true;
    try {
      return await ask("labels", { query, item_id: row.item.id, label }, { signal });
    } catch (problem) {
      if (!signal.aborted) fill(told, shell.fault(problem));
      return null;
    } finally {
      keeping = false;
    }
  };
  const choose = async (label) => {
    const row = order[at];
    if (keeping || !row) return;
    const reply = await keep(row, label);
    if (reply === null) return;
    labels = shell.info.labels = reply.labels;
    given[row.item.id] = label;
    const one = { row, reply, teacher: null };
    done.push(one);
    at += 1;
    tell(one);
    show();
    hearTeacher(one);
  };
  const tell = (one) => fill(told, opinion(one), agreement(done));
  const hearTeacher = async (one) => {
    if (!shell.info.teachers) return;
    try {
      const { reasons } = await ask("reasons", { query, item_ids: [one.row.item.id] }, { signal });
      one.teacher = reasons[0];
    } catch {
      return; // the label is kept; who cannot say, does not count
    }
    if (done.at(-1) === one) tell(one);
  };
  const skip = () => {
    if (keeping || at >= order.length) return;
    done.push({ row: order[at], reply: null, teacher: null });
    at += 1;
    fill(told);
    show();
  };
  const undo = async () => {
    const last = done.at(-1);
    if (keeping || !last) return;
    if (last.reply) {
      const reply = await keep(last.row, null);
      if (reply === null) return;
      labels = shell.info.labels = reply.labels;
      delete given[last.row.item.id];
    }
    done.pop();
    at -= 1;
    fill(told, el("p", { class: "muted", text: t("undone") }), agreement(done));
    show();
  };
  const acts = { g: () => choose("Good"), b: () => choose("Bad"), s: skip, u: undo };
  const pressed = (event) => {
    if (!panel.isConnected || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
    if (event.target.closest?.("input, textarea, select, dialog")) return;
    const chosen = acts[event.key.toLowerCase()];
    if (!chosen) return;
    event.preventDefault();
    chosen();
  };
  document.addEventListener("keydown", pressed, { signal });

  const progress = el("p", { class: "muted" });
  panel.append(
    el("h2", { id: "labelling", text: t("labelPairs") }),
    progress,
    stage,
    told,
    el("p", { class: "muted", text: `${t("labelIntro")} ${t("labelKeys")}` }),
  );
  show();
  ask("labelled", { query }, { signal }).then(
    (reply) => {
      given = { ...reply.labelled, ...given };
      show();
    },
    (problem) => !signal.aborted && fill(told, shell.fault(problem)),
  );
  return panel;
}

function question(query, row, given) {
  const more = [row.item.brand, row.item.color].filter(Boolean).join(" \u00b7 ");
  return el(
    "div",
    { class: "question" },
    el("p", { class: "question-query", text: query }),
    el("p", { class: "question-title", text: row.item.title }),
    el("p", { class: "muted" }, el("span", { class: "id", text: row.item.id }), more && ` \u00b7 ${more}`),
    given && el("p", { class: "muted" }, `${t("youSaid")}: `, labelOf(given)),
  );
}

function opinion({ row, reply, teacher }) {
  const line = (judge, value, label) =>
    label &&
    el(
      "p",
      {},
      `${t(judge)}: `,
      labelOf(label),
      value === null ? "" : ` ${score(value)} `,
      el("span", { class: label === reply.label ? "agrees" : "agrees not", text: `${label === reply.label ? "=" : "\u2260"} ${t(label === reply.label ? "agreesYes" : "agreesNo")}` }),
    );
  return el(
    "div",
    { class: "opinion" },
    el("p", {}, `${t("saved", { label: t(reply.label) })} `, el("span", { class: "muted", text: row.item.title })),
    line("teacher", teacher?.score ?? null, teacher?.label),
    line("student", reply.student?.score ?? null, reply.student?.label),
  );
}

function agreement(done) {
  const share = (of) => {
    const both = done.filter((one) => one.reply && of(one));
    const yes = both.filter((one) => of(one) === one.reply.label).length;
    return both.length ? t("agreementOf", { yes, all: both.length, share: percent(yes / both.length) }) : t("noneYet");
  };
  const shares = { teacher: share((one) => one.teacher?.label), student: share((one) => one.reply.student?.label) };
  return el("p", { class: "muted", text: t("agreementSoFar", shares) });
}

function act(kind, text, key, onclick, disabled = false) {
  const hint = el("kbd", { "aria-hidden": "true", text: key });
  return el("button", { type: "button", class: kind, "aria-keyshortcuts": key, disabled, onclick }, text, " ", hint);
}

/** A number that looks random but is always the same for a text (FNV-1a). */
function spread(text) {
  let hash = 0x811c9dc5;
  for (const character of text) hash = Math.imul(hash ^ character.codePointAt(0), 0x01000193);
  return hash >>> 0;
}
