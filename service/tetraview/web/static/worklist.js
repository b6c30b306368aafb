import { isFocused, renew } from "./renewal.js";

const form = document.querySelector("form");
form.addEventListener("change", () => form.requestSubmit());
form.querySelector("button").hidden = true;

renew(isFocused);
