/** Pages without live data: the menu, and ages that go on counting after the page was made. */

import * as api from "./api.js";
import { setText } from "./dom.js";
import * as format from "./format.js";
import { startMenu } from "./menu.js";
import { Prefs, browserStorage } from "./prefs.js";
import { SettingsDialog } from "./settings-dialog.js";
import { Settings } from "./settings.js";
import { Theme } from "./theme.js";

const prefs = new Prefs(browserStorage());
const theme = new Theme(prefs);
theme.start();
startMenu(prefs, theme);

const openSettings = document.getElementById("open-settings"); // only where somebody is signed in
if (openSettings) {
  const csrf = document.querySelector("[name=csrfmiddlewaretoken]")?.value ?? "";
  const settings = new Settings(api.get, (path, body) => api.change("PUT", path, csrf, body));
  const dialog = new SettingsDialog(settings);
  dialog.start();
  openSettings.addEventListener("click", () => {
    settings.load();
    dialog.open();
  });
}

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
