// One view enlarged, or all views.

const hanging = document.querySelector(".hanging");
const panels = [...hanging.querySelectorAll(".panel")];
const button = document.querySelector("#all-views");

/** Whether one view is enlarged. */
export const isEnlarged = () => hanging.classList.contains("one");

const show = (shown) => {
  hanging.classList.toggle("one", Boolean(shown));
  button.disabled = !shown;
  for (const panel of panels) panel.classList.toggle("shown", panel === shown);
};

/** Enlarge a view by its place in the hanging, from 0. */
export const enlarge = (place) => show(panels[place]);

/** Show all views. */
export const showAll = () => show(null);

button.addEventListener("click", showAll);
for (const panel of panels) {
  const toggle = () => show(isEnlarged() ? null : panel);
  panel.querySelector("svg")?.addEventListener("dblclick", toggle);
  const enlarging = panel.querySelector(".enlarge");
  if (!enlarging) continue;
  enlarging.hidden = false;
  enlarging.addEventListener("click", toggle);
}
