// Marks and rows of one lesion light up together, in every view.

const parts = [...document.querySelectorAll("[data-lesion]")];
const rows = parts.filter((part) => part.matches("tr"));
const names = [...new Set(rows.map((row) => row.dataset.lesion))];
let kept = null;
let pointed = null;

const lesionOf = (event) => event.target.closest("[data-lesion]")?.dataset.lesion ?? null;

const show = () => {
  const lit = pointed ?? kept;
  document.body.classList.toggle("linked", lit !== null);
  for (const part of parts) {
    part.classList.toggle("lit", part.dataset.lesion === lit);
    const button = part.querySelector("button") ?? part;
    button.setAttribute("aria-pressed", String(part.dataset.lesion === kept));
  }
};

const say = () => {
  const seen = rows.filter((row) => row.dataset.lesion === kept);
  const words = seen.map((row) => [".word", ".score"].map((cell) => row.querySelector(cell).textContent.trim()).join(" "));
  document.querySelector("#said").textContent = kept ? `${kept}: ${words.join(", ")}` : "";
};

const keep = (lesion) => {
  kept = lesion;
  pointed = null;
  show();
  say();
};

/** Keep the next (1) or previous (-1) lesion lit, in the order of the table. */
export const step = (by) => {
  if (names.length === 0) return;
  const at = names.indexOf(kept);
  keep(names.at(at < 0 && by < 0 ? -1 : (at + by) % names.length));
};

/** Light none. */
export const clear = () => keep(null);

/** Whether a lesion is kept lit. */
export const isKept = () => kept !== null;

const point = (event) => {
  pointed = lesionOf(event);
  show();
};

const toggle = (event) => {
  const lesion = lesionOf(event);
  if (lesion) keep(lesion === kept ? null : lesion);
};

for (const kind of ["pointerover", "focusin"]) document.addEventListener(kind, point);
document.addEventListener("focusout", () => {
  pointed = null;
  show();
});
document.addEventListener("click", toggle);
document.addEventListener("keydown", (event) => {
  if (!event.target.matches(".mark") || !["Enter", " "].includes(event.key)) return;
  event.preventDefault();
  toggle(event);
});
