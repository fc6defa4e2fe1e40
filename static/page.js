// Functions with which the modules of the page write to the document.

export const at = (id) => document.getElementById(id);

/** Writes only changed values, so that elements keep their focus and screen readers do not repeat text. */
export function put(element, property, value) {
  if (element[property] !== value) element[property] = value;
}

/** Fills a list with an element for each item, if the items have changed. */
export function fill(list, items, make) {
  const key = JSON.stringify(items);
  if (list.dataset.key === key) return;
  list.dataset.key = key;
  list.replaceChildren(...items.map(make));
}

export function element(name, text, ...children) {
  const made = document.createElement(name);
  if (text) made.textContent = text;
  made.append(...children);
  return made;
}
