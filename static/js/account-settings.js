/** Settings of accounts on the accounts page: what was changed is sent by PATCH, and only that. */

import { changedSettings } from "./account-settings-model.js";
import * as api from "./api.js";
import { setAttribute, setText } from "./dom.js";

/** @param csrf function -> token */
export function startSettings(csrf) {
  for (const form of document.querySelectorAll(".account-settings")) new SettingsForm(form, csrf).start();
}

class SettingsForm {
  #form;
  #csrf;
  #fields;
  #button;
  #status;
  #saved;
  #id;

  constructor(form, csrf) {
    this.#form = form;
    this.#csrf = csrf;
    this.#id = form.closest("[data-account]").dataset.account;
    this.#fields = [...form.querySelectorAll("[data-setting]")];
    this.#button = form.querySelector("[type=submit]");
    this.#status = form.querySelector(".form-status");
    this.#saved = this.#values();
  }

  start() {
    this.#form.addEventListener("input", () => {
      this.#say("");
      this.#button.disabled = Object.keys(changedSettings(this.#saved, this.#values())).length === 0;
    });
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#save();
    });
  }

  #values() {
    return Object.fromEntries(
      this.#fields.map((field) => [field.dataset.setting, field.type === "checkbox" ? field.checked : field.value]),
    );
  }

  async #save() {
    const values = this.#values();
    this.#button.disabled = true;
    this.#say("Saving");
    try {
      const change = changedSettings(this.#saved, values);
      const row = await api.change("PATCH", `/api/accounts/${this.#id}/`, this.#csrf(), change);
      this.#take(row);
      this.#say("Saved", "good");
    } catch (error) {
      if (error.status === 401) api.signIn();
      this.#say(error.message, "bad");
      this.#button.disabled = false;
    }
  }

  /** What holds now is what the server says. */
  #take(row) {
    for (const field of this.#fields) {
      const value = row[field.dataset.setting];
      if (field.type === "checkbox") field.checked = value;
      else field.value = String(value);
    }
    this.#saved = this.#values();
    const heading = this.#form.closest("[data-account]").querySelector("h2");
    heading.querySelector(".tag-warn")?.remove();
    if (!row.trading) return;
    const tag = document.createElement("span");
    tag.className = "tag tag-warn";
    tag.title = "Orders may be placed";
    tag.textContent = "TRADING";
    heading.append(" ", tag);
  }

  #say(text, kind = "") {
    setText(this.#status, text);
    setAttribute(this.#status, "class", `form-status ${kind}`.trim());
  }
}
