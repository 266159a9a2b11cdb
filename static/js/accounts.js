/** The accounts page: seal a key and send it, keep the list's states fresh. Secrets leave their fields at once. */

import "../vendor/tweetnacl/nacl-fast.js";
import { blake2b } from "../vendor/noble-hashes/blake2.js";
import { startSettings } from "./account-settings.js";
import * as api from "./api.js";
import { byId, setAttribute, setText } from "./dom.js";
import { exchangeColour, exchangeName } from "./exchanges.js";
import { fingerprint, seal } from "./sealing.js";

const REFRESH_MS = 3000;
const SECRETS = { key: "new-key", secret: "new-secret", passphrase: "new-passphrase" };

const PRODUCTS = { spot: "spot", usdm: "USD-M futures", margin: "margin", perpetual: "perpetuals", unified: "unified" };

const CANNOT_BE_ASKED = "It cannot be asked what a key may do: make sure yourself that it may not withdraw.";

const form = byId("new-account");
const status = byId("new-status");
const exchange = byId("new-exchange");

/** How exchanges and products are written. */
function nameThings() {
  for (const element of document.querySelectorAll("[data-exchange-name]")) {
    setText(element, exchangeName(element.dataset.exchangeName));
    if (element.tagName === "SPAN") setAttribute(element, "data-ex", exchangeColour(element.dataset.exchangeName));
  }
  for (const element of document.querySelectorAll("[data-product]"))
    setText(element, PRODUCTS[element.textContent] ?? element.textContent);
}

/** How a key is made, products and passphrase field belong to the chosen exchange. */
function showExchange() {
  const chosen = exchange.selectedOptions[0];
  const silent = chosen?.dataset.tellsRights === "no" ? CANNOT_BE_ASKED : "";
  setText(byId("new-how"), [chosen?.dataset.how, silent].filter(Boolean).join(" "));
  setText(byId("passphrase-name"), chosen?.dataset.passphraseName || "Passphrase");
  byId("new-passphrase").required = chosen?.dataset.passphrase === "yes";
  for (const choices of form.querySelectorAll(".choices")) choices.hidden = choices.dataset.exchange !== exchange.value;
  byId("passphrase-field").hidden = chosen?.dataset.passphrase !== "yes";
}

function say(text, kind = "") {
  setText(status, text);
  setAttribute(status, "class", `form-status ${kind}`.trim());
}

/** Take the secrets out of the form: from here on they are in this object alone. */
function takeSecrets() {
  return Object.fromEntries(
    Object.entries(SECRETS).map(([name, id]) => {
      const field = byId(id);
      const value = field.value.trim();
      field.value = "";
      return [name, value];
    }),
  );
}

async function add() {
  const secrets = takeSecrets();
  const choices = form.querySelectorAll(".choices:not([hidden]) input:checked");
  const products = [...choices].map((input) => input.value);
  if (products.length === 0) throw new Error("Choose at least one product. The key was cleared: enter it again.");
  const { public_key: publicKey, key_id: keyId } = await api.get("/api/sealing-key/");
  const body = {
    exchange: exchange.value,
    label: byId("new-label").value.trim(),
    products,
    fingerprint: fingerprint(secrets.key),
    sealed: seal(secrets, publicKey, { nacl: globalThis.nacl, blake2b }),
    key_id: keyId,
  };
  await api.change("POST", "/api/accounts/", form.querySelector("[name=csrfmiddlewaretoken]").value, body);
}

async function submit(event) {
  event.preventDefault();
  const button = form.querySelector("[type=submit]");
  button.disabled = true;
  say("Sealing the key in this browser");
  try {
    await add();
    say("Added. The worker is opening it.", "good");
    location.reload();
  } catch (error) {
    say(error.message, "bad");
  }
  button.disabled = false;
}

/** States change while the page is open. Another set of accounts means another page. */
async function refresh() {
  try {
    const { accounts } = await api.get("/api/accounts/");
    const shown = [...document.querySelectorAll("[data-account]")];
    if (shown.map((row) => row.dataset.account).join() !== accounts.map((row) => String(row.id)).join()) {
      if (!document.activeElement?.closest("form")) location.reload();
      return;
    }
    shown.forEach((row, i) => {
      setAttribute(row.querySelector("[data-state]"), "data-state", accounts[i].state);
      setText(row.querySelector(".badge-word"), accounts[i].state);
      setText(row.querySelector(".account-sentence"), accounts[i].sentence);
    });
    setText(byId("accounts-problem"), "");
  } catch (error) {
    if (error.status === 401) api.signIn();
    setText(byId("accounts-problem"), `The states above may be old: ${error.message}`);
  }
}

exchange.addEventListener("change", showExchange);
form.addEventListener("submit", submit);
for (const remove of document.querySelectorAll(".account-remove")) {
  remove.addEventListener("submit", (event) => {
    if (!confirm(`Remove ${remove.dataset.label}, its key and everything stored of it?`)) event.preventDefault();
  });
}
nameThings();
showExchange();
startSettings(() => form.querySelector("[name=csrfmiddlewaretoken]").value);
form.querySelector("[type=submit]").disabled = exchange.options.length === 0;
setInterval(refresh, REFRESH_MS);
