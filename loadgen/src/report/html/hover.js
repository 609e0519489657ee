
// The values at the pointer, at once. Without this the browser shows the same titles, a moment later.
'use strict';
(() => {
  const box = document.createElement('div');
  box.id = 'hover';
  box.hidden = true;
  document.body.append(box);
  const words = new Map();
  for (const area of document.querySelectorAll('.chart .hit')) {
    const title = area.querySelector('title');
    words.set(area, title.textContent);
    title.remove();
  }
  const place = (event) => {
    const left = event.clientX + 14, top = event.clientY + 14;
    box.style.left = Math.max(4, Math.min(left, innerWidth - box.offsetWidth - 8)) + 'px';
    box.style.top = Math.max(4, Math.min(top, innerHeight - box.offsetHeight - 8)) + 'px';
  };
  document.addEventListener('pointermove', (event) => {
    const found = words.get(event.target);
    box.hidden = found === undefined;
    if (found === undefined) return;
    box.textContent = found;
    place(event);
  });
  document.addEventListener('pointerleave', () => { box.hidden = true; });
})();
