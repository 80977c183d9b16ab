// Room for a node in a saved graph.
const TITLE = 30; // of a node, above its position
const GAP = 20;
const STEP = 40;
const REACH = 60; // steps in each direction
const LEFTWARDS = 2; // as far as it is, since graphs are read from left to right

function boxOf({ pos, size, flags }) {
  const height = flags?.collapsed ? 0 : (size?.[1] ?? 0);
  return { x: pos?.[0] ?? 0, y: (pos?.[1] ?? 0) - TITLE, width: size?.[0] ?? 0, height: height + TITLE };
}

function overlap(a, b) {
  return (
    a.x < b.x + b.width + GAP &&
    b.x < a.x + a.width + GAP &&
    a.y < b.y + b.height + GAP &&
    b.y < a.y + a.height + GAP
  );
}

// The position nearest to one wanted where a node of that size covers no other one.
export function freePlace(nodes, [x, y], [width, height]) {
  const boxes = nodes.map(boxOf);
  let best = [x, y];
  let nearest = Infinity;
  for (let column = -REACH; column <= REACH; column++)
    for (let row = -REACH; row <= REACH; row++) {
      const distance = (column < 0 ? LEFTWARDS * column : column) ** 2 + row ** 2;
      if (distance >= nearest) continue;
      const pos = [x + column * STEP, y + row * STEP];
      const box = boxOf({ pos, size: [width, height] });
      if (boxes.some((one) => overlap(box, one))) continue;
      [best, nearest] = [pos, distance];
    }
  return best;
}

function within({ x, y }, [left, top, width, height]) {
  return x >= left && x <= left + width && y >= top && y <= top + height;
}

// The groups that hold a node's position.
export function groupsOf(groups, { pos: [x, y] }) {
  return (groups ?? []).filter(({ bounding }) => within({ x, y }, bounding));
}

// Makes groups hold another node, too, unless they would then take in one of `others`.
export function growGroups(groups, added, others) {
  const box = boxOf(added);
  for (const group of groups) {
    const [left, top, width, height] = group.bounding;
    const [x, y] = [Math.min(left, box.x - GAP), Math.min(top, box.y - GAP)];
    const right = Math.max(left + width, box.x + box.width + GAP);
    const bottom = Math.max(top + height, box.y + box.height + GAP);
    const grown = [x, y, right - x, bottom - y];
    const taken = others.map(boxOf).filter((one) => within(one, grown));
    if (taken.every((one) => within(one, group.bounding))) group.bounding = grown;
  }
}
