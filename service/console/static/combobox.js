// A field that proposes items of the catalogue while one types (WAI-ARIA's combobox pattern).

import { ask } from "./api.js";
import { el, fill, freshId } from "./dom.js";

const PAUSE = 120; // ms without a key before asking

/** `onpick(item)` hears the item chosen from the list. */
export function combobox({ value, placeholder, label, onpick }) {
  const listId = freshId("proposals");
  const list = el("ul", { id: listId, role: "listbox", class: "proposals", hidden: true, "aria-label": label });
  const input = el("input", {
    type: "text",
    class: "text",
    role: "combobox",
    autocomplete: "off",
    spellcheck: "false",
    "aria-autocomplete": "list",
    "aria-expanded": "false",
    "aria-controls": listId,
    placeholder,
  });
  input.value = value;
  let items = [];
  let active = -1;
  let timer = 0;
  let asked = new AbortController();

  const close = () => {
    list.hidden = true;
    active = -1;
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
  };
  const pick = (item) => {
    input.value = item.id;
    close();
    onpick(item);
  };
  const point = (to) => {
    active = (to + items.length) % items.length;
    [...list.children].forEach((option, at) => option.setAttribute("aria-selected", String(at === active)));
    const option = list.children[active];
    input.setAttribute("aria-activedescendant", option.id);
    option.scrollIntoView({ block: "nearest" });
  };
  const option = (item) =>
    el(
      "li",
      {
        id: freshId("proposal"),
        role: "option",
        "aria-selected": "false",
        onmousedown: (event) => {
          event.preventDefault(); // the field keeps the focus
          pick(item);
        },
      },
      el("span", { class: "id", text: item.id }),
      el("span", { text: item.title }),
    );
  const propose = async () => {
    asked.abort();
    asked = new AbortController();
    try {
      ({ items } = await ask("items", { text: input.value, limit: 12 }, asked));
    } catch {
      return; // typing goes on; the view's own question tells of faults
    }
    if (document.activeElement !== input) return;
    active = -1;
    fill(list, items.map(option));
    list.hidden = !items.length;
    input.setAttribute("aria-expanded", String(!list.hidden));
  };
  input.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(propose, PAUSE);
  });
  input.addEventListener("blur", () => {
    clearTimeout(timer);
    asked.abort();
    close();
  });
  input.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown" && list.hidden) propose();
    else if (list.hidden) return;
    else if (event.key === "ArrowDown") point(active + 1);
    else if (event.key === "ArrowUp") point(active < 0 ? items.length - 1 : active - 1);
    else if (event.key === "Escape") close();
    else if (event.key === "Enter" && active >= 0) pick(items[active]);
    else return;
    event.preventDefault();
  });
  return { input, element: el("div", { class: "combobox" }, input, list) };
}
