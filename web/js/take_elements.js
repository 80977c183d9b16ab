// Elements of the take panel, and their style.
const STYLE = `
.mmaudio-takes { box-sizing: border-box; display: flex; flex-direction: column; gap: 2px;
  padding: 4px; font: 12px/1.3 sans-serif; color: var(--input-text); cursor: auto;
  background: var(--comfy-input-bg); border-radius: 4px; user-select: none; overflow: hidden; }
.mmaudio-takes:focus-visible, .mmaudio-takes :focus-visible { outline: 2px solid #4d9bff;
  outline-offset: -2px; }
.mmaudio-takes video { width: 100%; height: 178px; object-fit: contain; background: #000; }
.mmaudio-takes .bar { display: flex; gap: 4px; height: 32px; align-items: center; }
.mmaudio-takes .bar .clock { margin-left: auto; font-variant-numeric: tabular-nums; }
.mmaudio-takes button { font: inherit; color: inherit; background: transparent; padding: 2px 7px;
  border: 1px solid currentColor; border-radius: 4px; cursor: pointer; white-space: nowrap; }
.mmaudio-takes button[aria-pressed="true"] { color: var(--comfy-input-bg);
  background: var(--input-text); }
.mmaudio-takes .time { position: relative; }
.mmaudio-takes .axis { height: 26px; cursor: pointer; touch-action: none; }
.mmaudio-takes canvas { display: block; width: 100%; height: 100%; }
.mmaudio-takes [hidden] { display: none !important; }
.mmaudio-takes .schedule { position: relative; height: 20px; margin-bottom: 2px; }
.mmaudio-takes .prompt { position: absolute; top: 0; bottom: 0; overflow: hidden; padding: 1px 5px;
  box-sizing: border-box; white-space: nowrap; text-overflow: ellipsis;
  border: 1px solid currentColor; border-radius: 3px; }
.mmaudio-takes .border { position: absolute; top: 0; bottom: 0; width: 9px; margin-left: -4px;
  z-index: 1; cursor: ew-resize; touch-action: none; background: currentColor; opacity: .7;
  border-radius: 3px; }
.mmaudio-takes .lanes { list-style: none; margin: 0; padding: 0; max-height: 336px;
  overflow-y: auto; scrollbar-width: none; }
.mmaudio-takes .lane { height: 84px; box-sizing: border-box; padding: 2px 0; }
.mmaudio-takes .lane .row { display: flex; gap: 4px; align-items: center; height: 24px;
  position: relative; z-index: 2; }
.mmaudio-takes .facts { flex: 1; overflow: hidden; text-overflow: ellipsis; white-space: nowrap;
  user-select: text; }
.mmaudio-takes .sound { height: 54px; cursor: pointer; touch-action: none; }
.mmaudio-takes .lane:not(.picked) .sound { opacity: .45; }
.mmaudio-takes .sound img { display: block; width: 100%; height: 100%; }
.mmaudio-takes .mark { position: absolute; top: 0; bottom: 0; background: #4d9bff; opacity: .25;
  pointer-events: none; }
.mmaudio-takes .playhead { position: absolute; top: 0; bottom: 0; left: 0; width: 2px;
  margin-left: -1px; background: #ff5a36; pointer-events: none; z-index: 1; }
.mmaudio-takes .status { margin: 0; min-height: 18px; overflow: hidden; text-overflow: ellipsis;
  white-space: nowrap; user-select: text; }
@media (prefers-reduced-motion: no-preference) {
  .mmaudio-takes button { transition: background-color .1s; } }
`;

export function addStyle() {
  if (document.getElementById("mmaudio-takes-style")) return;
  const style = make("style", { id: "mmaudio-takes-style" }, [STYLE]);
  document.head.append(style);
}

export function make(name, attributes = {}, children = []) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}
