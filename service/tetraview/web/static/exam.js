// The keys of the exam page.

import { change, isChanged, reset } from "./grey.js";
import { clear, isKept, step } from "./lesions.js";
import { enlarge, isEnlarged, showAll } from "./panels.js";
import { isFocused, renew } from "./renewal.js";

const STEP = 8;
const help = document.querySelector("#help");
const outlines = document.querySelector("#outlines");

const isBare = () => document.body.classList.contains("bare");

const toggleOutlines = () => {
  document.body.classList.toggle("bare");
  outlines?.setAttribute("aria-pressed", String(!isBare()));
};

const KEYS = {
  j: () => step(1),
  n: () => step(1),
  k: () => step(-1),
  p: () => step(-1),
  o: toggleOutlines,
  w: reset,
  0: showAll,
  1: () => enlarge(0),
  2: () => enlarge(1),
  3: () => enlarge(2),
  4: () => enlarge(3),
  "?": () => help.showModal(),
  Escape: clear,
};

const SHIFTED = {
  ArrowLeft: () => change(-STEP, 0),
  ArrowRight: () => change(STEP, 0),
  ArrowUp: () => change(0, -STEP),
  ArrowDown: () => change(0, STEP),
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || help.open) return;
  const act = (event.shiftKey && SHIFTED[event.key]) || (!event.repeat && KEYS[event.key]);
  if (!act) return;
  event.preventDefault();
  act();
});

outlines?.addEventListener("click", toggleOutlines);
document.querySelector("#lesion")?.addEventListener("click", () => step(1));
document.querySelector("#keys").addEventListener("click", () => help.showModal());
document.querySelector(".tools").hidden = !document.querySelector(".panel image");

renew(() => help.open || isBare() || isChanged() || isEnlarged() || isKept() || isFocused());
