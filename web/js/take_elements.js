// Elements of the take panel, and their style.
const STYLE = `
.mmaudio-takes { box-sizing: border-box; display: flex; flex-direction: column; gap: 2px;
  padding: 4px; font: 12px/1.3 sans-serif; cursor: auto; border-radius: 4px; user-select: none;
  overflow: hidden; --ink: var(--component-node-foreground, var(--input-text));
  --paper: var(--component-node-widget-background, var(--comfy-input-bg));
  color: var(--ink); background: var(--paper); }
.mmaudio-takes > * { flex: none; }
.mmaudio-takes:focus-visible, .mmaudio-takes :focus-visible { outline: 2px solid #4d9bff;
  outline-offset: -2px; }
.mmaudio-takes video { width: 100%; height: 178px; object-fit: contain; background: #000; }
.mmaudio-takes .bar { display: flex; flex-wrap: wrap; gap: 4px; padding: 4px 0; align-items: center; }
.mmaudio-takes .bar .clock { margin-left: auto; font-variant-numeric: tabular-nums; }
.mmaudio-takes label { display: flex; gap: 4px; align-items: center; min-width: 0; }
.mmaudio-takes button, .mmaudio-takes a, .mmaudio-takes select { font: inherit; color: inherit;
  background: transparent; padding: 2px 7px; border: 1px solid currentColor; border-radius: 4px;
  cursor: pointer; white-space: nowrap; text-decoration: none; box-sizing: border-box; height: 22px; }
.mmaudio-takes select { padding: 0 2px; min-width: 0; background: var(--paper); }
.mmaudio-takes button[aria-pressed="true"] { color: var(--paper); background: var(--ink);
  border-color: var(--ink); }
.mmaudio-takes button:disabled { opacity: .5; cursor: default; }
.mmaudio-takes .time { position: relative; }
.mmaudio-takes .axis { height: 26px; cursor: pointer; touch-action: none; }
.mmaudio-takes canvas { display: block; width: 100%; height: 100%; }
.mmaudio-takes [hidden] { display: none !important; }
.mmaudio-takes .schedule { position: relative; height: 20px; margin-bottom: 2px; }
.mmaudio-takes .prompt { position: absolute; top: 0; bottom: 0; overflow: hidden; padding: 1px 7px;
  box-sizing: border-box; white-space: nowrap; text-overflow: ellipsis;
  border: 1px solid currentColor; border-radius: 3px; }
.mmaudio-takes .border { position: absolute; top: 0; bottom: 0; width: 9px; margin-left: -4px;
  z-index: 1; cursor: ew-resize; touch-action: none; background: #5f5f5f;
  border: solid var(--ink); border-width: 0 2px; box-sizing: border-box; border-radius: 3px; }
.mmaudio-takes .lanes { list-style: none; margin: 0; padding: 0; overflow-y: auto;
  scrollbar-width: none; }
.mmaudio-takes .lane { padding: 2px 0 4px; }
.mmaudio-takes .row { display: flex; flex-wrap: wrap; gap: 2px 4px; align-items: center;
  min-height: 24px; position: relative; z-index: 2; }
.mmaudio-takes .saved { flex-wrap: nowrap; }
.mmaudio-takes .fact, .mmaudio-takes .scores { user-select: text; }
.mmaudio-takes .fact { white-space: nowrap; padding: 0 2px; }
.mmaudio-takes .name { flex: 1; overflow: hidden; text-overflow: ellipsis; min-width: 0; }
.mmaudio-takes .scores { display: flex; flex-wrap: wrap; gap: 0 10px; padding: 0 2px;
  position: relative; z-index: 2; }
.mmaudio-takes .score { white-space: nowrap; font-variant-numeric: tabular-nums; }
.mmaudio-takes .best { font-weight: bold; }
.mmaudio-takes .unseen { position: absolute; width: 1px; height: 1px; overflow: hidden;
  clip-path: inset(50%); }
.mmaudio-takes .sound { height: 54px; cursor: pointer; touch-action: none; }
.mmaudio-takes .lane:not(.picked) .sound { opacity: .6; }
.mmaudio-takes .sound img { display: block; width: 100%; height: 100%; }
.mmaudio-takes .mark { position: absolute; top: 0; bottom: 0; background: #4d9bff; opacity: .25;
  pointer-events: none; }
.mmaudio-takes .playhead { position: absolute; top: 0; bottom: 0; left: 0; width: 2px;
  margin-left: -1px; background: #ff5a36; pointer-events: none; z-index: 1; }
.mmaudio-takes .status { margin: 0; min-height: 18px; overflow-wrap: anywhere; user-select: text; }
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

export function button(text, act, title = text) {
  const element = make("button", { type: "button", title }, [text]);
  element.addEventListener("click", act);
  return element;
}

// A select with its label; `options`: texts by value. `act` is called with the value that is chosen.
export function choice(text, options, value, act) {
  const select = make(
    "select",
    { "aria-label": text },
    Object.entries(options).map(([key, shown]) => make("option", { value: key }, [shown])),
  );
  select.value = value;
  select.addEventListener("change", () => act(select.value));
  return make("label", {}, [text, select]);
}
