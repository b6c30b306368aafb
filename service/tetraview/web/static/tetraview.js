"use strict";

// The key o and the button show and hide the outlines.
const button = document.querySelector("#outlines");

const toggle = () => {
  const hidden = document.body.classList.toggle("bare");
  button.setAttribute("aria-pressed", String(!hidden));
};

if (button) {
  button.hidden = false;
  button.addEventListener("click", toggle);
  document.addEventListener("keydown", (event) => {
    if (event.key === "o" && !event.repeat && !event.ctrlKey && !event.metaKey && !event.altKey) toggle();
  });
}
