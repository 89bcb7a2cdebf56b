// Draws the graph. Python says which layer a node stands in and in which order; this gives places, and opens groups.
(function () {
  "use strict";
  const SVG = "http://www.w3.org/2000/svg";
  const WIDE = 170, TALL = 30, GAP = 10, BETWEEN = 110, IN_COLUMN = 40;
  const root = document.body.dataset.root;
  const data = JSON.parse(document.getElementById("dag-data").textContent);
  const nodes = data.nodes.map(([name, kind, href, layer, group, state, worst, id]) =>
    ({ name, kind, href, layer, group: group === null ? null : layer + "/" + group, title: group, state, worst, id }));
  const frame = document.getElementById("dag");
  const svg = make("svg", { class: "dag" });
  const world = make("g", {});
  svg.append(world);
  frame.append(svg);
  const open = new Set();
  let view = { x: 0, y: 0, scale: 1 };
  let size = { width: 1, height: 1 };
  let boxes = new Map();
  let wanted = new Set();

  function make(tag, attributes) {
    const element = document.createElementNS(SVG, tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    return element;
  }

  // What stands in each layer: nodes, closed groups, and open ones as blocks of columns.
  function arrange() {
    const layers = [];
    const seen = new Map();
    nodes.forEach((node, number) => {
      const layer = layers[node.layer] || (layers[node.layer] = []);
      if (node.group === null) {
        layer.push({ nodes: [number], group: null });
      } else if (seen.has(node.group)) {
        seen.get(node.group).nodes.push(number);
      } else {
        const entry = { nodes: [number], group: node.group, title: node.title };
        seen.set(node.group, entry);
        layer.push(entry);
      }
    });
    return layers.map((layer) => layer || []);
  }

  function place() {
    boxes = new Map();
    let x = 0, tallest = 0;
    const columns = [];
    for (const layer of arrange()) {
      let y = 0, wide = WIDE;
      const here = [];
      for (const entry of layer) {
        if (entry.group !== null && open.has(entry.group)) {
          const across = Math.ceil(entry.nodes.length / IN_COLUMN);
          entry.nodes.forEach((number, i) => {
            const column = Math.floor(i / IN_COLUMN), row = i % IN_COLUMN;
            here.push({ key: number, inside: entry.group, members: [number], x: x + column * (WIDE + 14), y: y + 34 + row * (TALL + 6) });
          });
          here.push({ key: "close " + entry.group, close: entry.group, title: "close " + entry.title, members: [], x, y });
          wide = Math.max(wide, across * (WIDE + 14) - 14);
          y += 34 + Math.min(entry.nodes.length, IN_COLUMN) * (TALL + 6) + GAP;
        } else if (entry.group !== null) {
          here.push({ key: entry.group, group: entry.group, title: entry.title, members: entry.nodes, x, y });
          y += TALL + 16 + GAP;
        } else {
          here.push({ key: entry.nodes[0], members: entry.nodes, x, y });
          y += TALL + GAP;
        }
      }
      columns.push([here, y]);
      tallest = Math.max(tallest, y);
      x += wide + BETWEEN;
    }
    for (const [here, tall] of columns) {
      for (const box of here) {
        box.y += (tallest - tall) / 2;
        box.tall = box.group ? TALL + 16 : TALL;
        boxes.set(box.key, box);
      }
    }
    size = { width: Math.max(1, x - BETWEEN), height: Math.max(1, tallest) };
  }

  function draw() {
    place();
    world.replaceChildren();
    const of = new Map();
    for (const box of boxes.values()) box.members.forEach((number) => of.set(number, box));
    const done = new Set();
    const edges = make("g", { class: "edges" });
    const wholes = data.edges.map(([from, to]) => [whole(of.get(from)), whole(of.get(to))]);
    const singles = data.edges.map(([from, to]) => [of.get(from), of.get(to)]);
    for (const [a, b] of wholes.concat(singles)) {
      const key = a.key + " > " + b.key;
      if (a === b || done.has(key)) continue;
      done.add(key);
      const x1 = a.x + WIDE, y1 = a.y + a.tall / 2, x2 = b.x, y2 = b.y + b.tall / 2, bend = Math.max(40, (x2 - x1) / 2);
      const edge = make("path", { d: `M${x1},${y1}C${x1 + bend},${y1} ${x2 - bend},${y2} ${x2},${y2}` });
      if (a.inside || b.inside) edge.setAttribute("class", "inner"); // of one voter of many: shown when it is pointed at
      edge.dataset.from = a.key;
      edge.dataset.to = b.key;
      edges.append(edge);
    }
    world.append(edges);
    for (const box of boxes.values()) world.append(drawn(box));
    mark();
  }

  // What an edge of an open group leads to: the group.
  function whole(box) {
    return box.inside ? boxes.get("close " + box.inside) : box;
  }

  function drawn(box) {
    const node = box.group || box.close ? null : nodes[box.members[0]];
    const shape = make("g", { transform: `translate(${box.x},${box.y})` });
    const holder = node ? make("a", { href: root + node.href }) : make("g", { tabindex: 0, role: "button" });
    const worst = worstOf(box.members);
    let style = "node " + (node ? "n-" + node.kind : box.close ? "closer" : "folded");
    if (worst) style += worst === "warned" ? " ring-warn" : " ring-bad";
    if (node && node.state === "missing") style += " dashed";
    shape.setAttribute("class", style);
    shape.dataset.key = box.key;
    shape.append(make("rect", { width: WIDE, height: box.tall, rx: 6 }));
    const text = make("text", { x: 12, y: box.tall / 2 + 4 });
    const name = node ? node.name : box.title;
    text.textContent = name.length > 22 ? name.slice(0, 21) + "…" : name;
    shape.append(text);
    const title = make("title", {});
    title.textContent = node ? node.id + (node.state === "missing" ? ", not built" : "") : box.close ? "close" : box.title + ": click to open";
    shape.append(title);
    if (!node) {
      const turn = () => { box.close ? open.delete(box.close) : open.add(box.group); draw(); };
      holder.addEventListener("click", () => { if (!dragged) turn(); });
      holder.addEventListener("keydown", (event) => { if (event.key === "Enter" || event.key === " ") { event.preventDefault(); turn(); } });
    }
    holder.addEventListener("pointerenter", () => neighbours(box.key, true));
    holder.addEventListener("pointerleave", () => neighbours(box.key, false));
    holder.append(shape);
    return holder;
  }

  function worstOf(members) {
    const found = members.map((number) => nodes[number].worst);
    return ["error", "failed", "warned"].find((one) => found.includes(one)) || null;
  }

  function neighbours(key, on) {
    world.querySelectorAll(".edges path").forEach((edge) => {
      if (edge.dataset.from === String(key) || edge.dataset.to === String(key)) edge.classList.toggle("near", on);
    });
  }

  // ---- zoom and pan
  function show() {
    world.setAttribute("transform", `translate(${view.x},${view.y}) scale(${view.scale})`);
    svg.classList.toggle("far", view.scale < 0.45);
    frame.dataset.scale = view.scale.toFixed(3);
  }

  function zoom(factor, x, y) {
    const scale = Math.min(3, Math.max(0.02, view.scale * factor));
    view = { x: x - (x - view.x) * scale / view.scale, y: y - (y - view.y) * scale / view.scale, scale };
    show();
  }

  function all() {
    const { clientWidth: w, clientHeight: h } = frame;
    const scale = Math.min(1.2, (w - 40) / size.width, (h - 40) / size.height);
    view = { x: (w - size.width * scale) / 2, y: (h - size.height * scale) / 2, scale };
    show();
  }

  function toward(box) {
    const scale = Math.max(view.scale, 0.8);
    view = { x: frame.clientWidth / 2 - (box.x + WIDE / 2) * scale, y: frame.clientHeight / 2 - (box.y + TALL / 2) * scale, scale };
    show();
  }

  const pointers = new Map();
  let dragged = false, pinch = 0;
  frame.addEventListener("wheel", (event) => {
    event.preventDefault();
    const box = frame.getBoundingClientRect();
    zoom(Math.exp(-event.deltaY * 0.0015), event.clientX - box.left, event.clientY - box.top);
  }, { passive: false });
  frame.addEventListener("pointerdown", (event) => {
    pointers.set(event.pointerId, event);
    dragged = false;
    pinch = 0;
  });
  addEventListener("pointermove", (event) => {
    const before = pointers.get(event.pointerId);
    if (!before) return;
    const box = frame.getBoundingClientRect();
    if (pointers.size === 1) {
      const dx = event.clientX - before.clientX, dy = event.clientY - before.clientY;
      if (!dragged && Math.hypot(dx, dy) < 4) return;
      dragged = true;
      view.x += dx;
      view.y += dy;
      show();
    }
    pointers.set(event.pointerId, event);
    if (pointers.size === 2) {
      const [a, b] = pointers.values();
      const apart = Math.hypot(a.clientX - b.clientX, a.clientY - b.clientY);
      if (pinch) zoom(apart / pinch, (a.clientX + b.clientX) / 2 - box.left, (a.clientY + b.clientY) / 2 - box.top);
      pinch = apart;
      dragged = true;
    }
  });
  for (const name of ["pointerup", "pointercancel"]) {
    addEventListener(name, (event) => { pointers.delete(event.pointerId); pinch = 0; });
  }
  frame.addEventListener("click", (event) => { if (dragged) { event.preventDefault(); event.stopPropagation(); dragged = false; } }, true);
  frame.addEventListener("dragstart", (event) => event.preventDefault());
  frame.addEventListener("keydown", (event) => {
    const moves = { ArrowLeft: [60, 0], ArrowRight: [-60, 0], ArrowUp: [0, 60], ArrowDown: [0, -60] };
    const middle = [frame.clientWidth / 2, frame.clientHeight / 2];
    if (moves[event.key]) { view.x += moves[event.key][0]; view.y += moves[event.key][1]; show(); event.preventDefault(); }
    else if (event.key === "+" || event.key === "=") zoom(1.25, ...middle);
    else if (event.key === "-") zoom(0.8, ...middle);
    else if (event.key === "0") all();
  });
  const middle = () => [frame.clientWidth / 2, frame.clientHeight / 2];
  document.getElementById("zoom-in").addEventListener("click", () => zoom(1.25, ...middle()));
  document.getElementById("zoom-out").addEventListener("click", () => zoom(0.8, ...middle()));
  document.getElementById("zoom-all").addEventListener("click", all);
  addEventListener("resize", all);

  // ---- search
  const search = document.getElementById("dag-search");
  function mark() {
    svg.classList.toggle("searching", wanted.size > 0);
    const known = new Map(Array.from(boxes.values(), (box) => [String(box.key), box]));
    world.querySelectorAll("g.node").forEach((shape) => {
      const box = known.get(shape.dataset.key);
      shape.classList.toggle("found", box.members.some((number) => wanted.has(number)));
    });
  }
  function find() {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    wanted = new Set();
    if (words.length) nodes.forEach((node, number) => { if (words.every((word) => node.id.toLowerCase().includes(word))) wanted.add(number); });
    document.getElementById("dag-found").textContent = words.length ? `${wanted.size} found` : "";
    mark();
    if (wanted.size === 1) reveal(wanted.values().next().value);
  }
  function reveal(number) {
    const node = nodes[number];
    if (node.group !== null && !open.has(node.group)) { open.add(node.group); draw(); }
    toward(boxes.get(number));
  }
  search.addEventListener("input", find);

  // ---- the list for those who do not look at drawings
  const list = document.getElementById("dag-list");
  nodes.forEach((node) => {
    const link = document.createElement("a");
    link.href = root + node.href;
    link.textContent = node.id;
    list.append(link, " ");
  });

  draw();
  all();
  const asked = new URLSearchParams(location.search).get("node");
  const number = nodes.findIndex((node) => node.id === asked);
  if (number >= 0) { wanted = new Set([number]); reveal(number); mark(); }
})();
