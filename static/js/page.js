/** Pages without live data: the menu, and ages that go on counting after the page was made. */

import { setText } from "./dom.js";
import * as format from "./format.js";
import { startMenu } from "./menu.js";
import { Prefs, browserStorage } from "./prefs.js";
import { Theme } from "./theme.js";

const prefs = new Prefs(browserStorage());
const theme = new Theme(prefs);
theme.start();
startMenu(prefs, theme);

const loaded = performance.now();
const ages = [...document.querySelectorAll("[data-age-ms]")];

function showAges() {
  const passed = performance.now() - loaded;
  for (const element of ages) setText(element, format.age(Number(element.dataset.ageMs) + passed));
}

if (ages.length > 0) {
  showAges();
  setInterval(showAges, 1000);
}
