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

// Makes groups that hold a node's position hold another node, too.
export function growGroups(groups, { pos: [x, y] }, added) {
  const box = boxOf(added);
  for (const { bounding } of groups ?? []) {
    const [left, top, width, height] = bounding;
    if (x < left || x > left + width || y < top || y > top + height) continue;
    const right = Math.max(left + width, box.x + box.width + GAP);
    const bottom = Math.max(top + height, box.y + box.height + GAP);
    bounding[0] = Math.min(left, box.x - GAP);
    bounding[1] = Math.min(top, box.y - GAP);
    bounding[2] = right - bounding[0];
    bounding[3] = bottom - bounding[1];
  }
}
