/** Small helpers: make elements, and change only what differs. */

/**
 * Make an element. `attributes` are set as attributes, except `text` (its text) and `on` (event -> listener); null and
 * false ones are left out. There is no way to pass HTML or a style attribute.
 */
export function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "text") element.append(document.createTextNode(value));
    else if (name === "on")
      for (const [event, listener] of Object.entries(value)) element.addEventListener(event, listener);
    else if (value !== null && value !== undefined && value !== false)
      element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** Set an element's only text; touches the DOM only if it differs. */
export function setText(element, text) {
  const node = element.firstChild;
  if (node?.nodeType === 3) {
    if (node.data !== text) node.data = text;
  } else {
    element.textContent = text;
  }
}

export function setClass(element, name) {
  if (element.className !== name) element.className = name;
}

export function toggleClass(element, name, on) {
  if (element.classList.contains(name) !== Boolean(on)) element.classList.toggle(name, Boolean(on));
}

/** Set an attribute, or remove it for null and false. */
export function setAttribute(element, name, value) {
  if (value === null || value === undefined || value === false) {
    if (element.hasAttribute(name)) element.removeAttribute(name);
  } else if (element.getAttribute(name) !== String(value)) element.setAttribute(name, value);
}

/** A custom property or style, set from script (allowed by the content security policy, unlike style attributes). */
export function setStyle(element, name, value) {
  if (element.style.getPropertyValue(name) !== value) element.style.setProperty(name, value);
}

export function byId(id) {
  const element = document.getElementById(id);
  if (!element) throw new Error(`the page has no #${id}`);
  return element;
}

/** Is the user writing something, so that letters are not shortcuts? */
export function isTyping(target) {
  return target instanceof Element && Boolean(target.closest("input, textarea, select, [contenteditable]"));
}

/**
 * Call `changed(shown)` when an element begins or ceases to be laid out, whatever above it is hidden or shown: what
 * nobody can see asks for no data.
 */
export function onShown(element, changed) {
  let shown = false;
  new ResizeObserver(() => {
    const now = element.getClientRects().length > 0;
    if (now === shown) return;
    shown = now;
    changed(now);
  }).observe(element);
}
