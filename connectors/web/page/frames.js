// Drawing once a frame, however often values change, and not at all while nobody looks.

const waiting = new Map();
let asked = false;

/** Run `draw` in the next frame; what was asked for under the same key before is dropped. */
export function nextFrame(key, draw) {
  waiting.set(key, draw);
  if (!asked) {
    asked = true;
    requestAnimationFrame(drawAll);
  }
}

function drawAll() {
  asked = false;
  const draws = [...waiting.values()];
  waiting.clear();
  for (const draw of draws) draw();
}

/** Return a function that asks for `draw`, at most every `ms`: for what is dear to draw. */
export function paced(draw, ms) {
  const key = {};
  let due = 0;
  let timer = null;
  const run = () => {
    timer = null;
    due = performance.now() + ms;
    nextFrame(key, draw);
  };
  return () => {
    if (timer === null) timer = setTimeout(run, Math.max(0, due - performance.now()));
  };
}
