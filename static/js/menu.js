/** The menu at the top right of every page: theme toggle and choices. */

import { byId } from "./dom.js";

export function startMenu(prefs, theme) {
  byId("theme-toggle").addEventListener("click", () => theme.toggle());
  const menu = byId("menu");
  const show = () => {
    for (const input of menu.querySelectorAll("input[type=radio]"))
      input.checked = prefs.get(input.name) === input.value;
  };
  menu.addEventListener("change", (event) => {
    if (event.target.matches("input[type=radio]")) prefs.set(event.target.name, event.target.value);
  });
  prefs.onChange("theme", show);
  prefs.onChange("colours", show);
  show();
}
