// Renews a page that follows something, unless a person is at work on it.

const SECONDS = 15;

/** Renew the page from time to time where it has a place to say so; atWork tells whether it must wait. */
export const renew = (atWork) => {
  const note = document.querySelector("#renewal");
  if (!note) return;
  let left = SECONDS;
  const tick = () => {
    const waits = atWork();
    const words = waits ? "Not renewed while you are at work here." : `Renewed every ${SECONDS} seconds.`;
    if (note.textContent !== words) note.textContent = words;
    left = waits || document.hidden ? SECONDS : left - 1;
    if (left < 0) location.reload();
  };
  tick();
  setInterval(tick, 1000);
};

/** Whether the keyboard's focus is somewhere in the page's content. */
export const isFocused = () => Boolean(document.activeElement?.closest("main"));
