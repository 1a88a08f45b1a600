// Making elements. Text only ever becomes a text node, so nothing typed or stored is read as markup.

/** An element: `props` are `class`, `on…` listeners, `text`, or attributes; null ones are left out. */
export function el(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "class") element.className = value;
    else if (name === "text") element.textContent = value;
    else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  append(element, children);
  return element;
}

/** Append nodes and texts, nested arrays of them too; null ones are left out. */
export function append(parent, children) {
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    parent.append(child instanceof Node ? child : document.createTextNode(String(child)));
  }
  return parent;
}

/** Put these children in the place of all others. */
export function fill(parent, ...children) {
  parent.replaceChildren();
  return append(parent, children);
}

let made = 0;

/** An id no other element of the page has. */
export function freshId(word) {
  made += 1;
  return `${word}-${made}`;
}

/** A titled card; the heading names the region. */
export function card(title, ...children) {
  const id = freshId("card");
  const section = el("section", { class: "card", "aria-labelledby": id });
  return append(section, [el("h2", { id, text: title }), ...children]);
}

/** A labelled form field. */
export function field(label, input, hint = null) {
  const id = input.id || freshId("field");
  input.id = id;
  return el("div", { class: "field" }, el("label", { for: id, text: label }), input, hint);
}

/** A row of radio buttons in place of a switch; `choices` are [value, label]. */
export function choice(legend, name, choices, chosen, onchange) {
  const buttons = choices.map(([value, label]) => {
    const input = el("input", { type: "radio", name, value, checked: value === chosen });
    input.addEventListener("change", () => onchange(value));
    return el("label", { class: "choice" }, input, el("span", { text: label }));
  });
  return el("fieldset", { class: "choices" }, el("legend", { text: legend }), ...buttons);
}
