// Window centre and width of all pictures alike, in the grey levels 0 to 255 of the previews (PS3.3 C.11.2.1.2.1).

const START = { centre: 128, width: 256 };
const pictures = document.querySelectorAll(".panel image");
const ramps = document.querySelectorAll("#window feFuncR, #window feFuncG, #window feFuncB");
const button = document.querySelector("#reset");
const words = document.querySelector("#grey");
let { centre, width } = START;

const within = (value, low, high) => Math.min(Math.max(value, low), high);

/** Whether the window is another than that of the previews. */
export const isChanged = () => centre !== START.centre || width !== START.width;

const show = () => {
  const slope = 255 / (width - 1);
  for (const ramp of ramps) {
    ramp.setAttribute("slope", slope);
    ramp.setAttribute("intercept", 0.5 - (slope * (centre - 0.5)) / 255);
  }
  for (const picture of pictures) {
    if (isChanged()) picture.setAttribute("filter", "url(#window)");
    else picture.removeAttribute("filter");
  }
  button.disabled = !isChanged();
  words.textContent = `W ${Math.round(width)} C ${Math.round(centre)}`;
};

/** Make the window wider and its centre higher by so many grey levels. */
export const change = (wider, higher) => {
  width = within(width + wider, 2, 512);
  centre = within(centre + higher, 0, 255);
  show();
};

/** The window of the previews. */
export const reset = () => {
  ({ centre, width } = START);
  show();
};

// A finger scrolls; a mouse or pen that draws across a picture changes the window, and its click does nothing else.
let dragged = false;

const start = (event) => {
  dragged = false;
  if (event.pointerType === "touch" || event.button !== 0) return;
  const picture = event.currentTarget;
  const end = new AbortController();
  let from = event;
  const move = (to) => {
    if (to.buttons === 0) return end.abort();
    if (!dragged && Math.hypot(to.clientX - from.clientX, to.clientY - from.clientY) < 4) return;
    dragged = true;
    picture.setPointerCapture(to.pointerId);
    change(to.clientX - from.clientX, to.clientY - from.clientY);
    from = to;
  };
  picture.addEventListener("pointermove", move, { signal: end.signal });
  for (const kind of ["pointerup", "pointercancel"]) {
    picture.addEventListener(kind, () => end.abort(), { signal: end.signal });
  }
};

for (const picture of pictures) picture.ownerSVGElement.addEventListener("pointerdown", start);
document.addEventListener(
  "click",
  (event) => {
    if (dragged) event.stopPropagation();
    dragged = false;
  },
  true,
);
button.addEventListener("click", reset);
show();
