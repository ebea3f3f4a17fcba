// ---- Colours: one for each memory where a step costs as little as it can, and a hot one at 8 times.

let colour = {};

function readColours() {
  const style = getComputedStyle(document.documentElement);
  for (const name of ["page", "panel", "ink", "soft", "rule", "global", "global-hot", "shared", "shared-hot", "constant", "constant-hot", "atomic",
    "warp", "barrier", "empty", "bad", "focus", "mark"])
    colour[name] = style.getPropertyValue(`--${name}`).trim();
  colour.scale = {};
}

function mixed(from, to, share) {
  const part = (hex, i) => parseInt(hex.slice(1 + 2 * i, 3 + 2 * i), 16);
  return `rgb(${[0, 1, 2].map((i) => Math.round(part(from, i) * (1 - share) + part(to, i) * share)).join(",")})`;
}

function ofRatio(memory, ratio) {  // in 24 shades
  const shade = Math.round(24 * Math.min(1, Math.max(0, Math.log2(ratio) / 3)));
  return colour.scale[memory + shade] ??= mixed(colour[memory], colour[`${memory}-hot`], shade / 24);
}

function onColour(background) {  // black or white, whichever can be read better
  const [r, g, b] = background.match(/\d+/g).map((x) => (x / 255) ** 2.2);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.19 ? "#101418" : "#ffffff";
}

function ofStep(launch, step) {
  const kind = launch.kind[step];
  if (kind === WAITS) return launch.operation[step] === STOP ? colour.bad : launch.isBarrier(step) ? colour.barrier : colour.warp;
  if (!launch.isCounted(step)) return colour.atomic;
  return ofRatio(memoryOf(kind), launch.cost[step] / launch.best[step]);
}

const STOPS = [[72, 40, 120], [59, 82, 139], [33, 145, 140], [94, 201, 98], [240, 222, 60]];  // from lane 0 to 31

function ofLane(lane) {
  const place = lane / (WARP - 1) * (STOPS.length - 1), i = Math.min(STOPS.length - 2, Math.floor(place)), share = place - i;
  return `rgb(${STOPS[i].map((x, j) => Math.round(x + (STOPS[i + 1][j] - x) * share)).join(",")})`;
}
const onLane = (lane) => lane < 18 ? "#ffffff" : "#1c2128";

// ---- The state of the page, and canvases.

let launches = [], launch, step = 0, playing = 0;

function canvas(id, height) {
  const made = $(id), width = made.clientWidth, dots = window.devicePixelRatio || 1;
  made.style.height = `${height}px`;
  made.width = Math.round(width * dots), made.height = Math.round(height * dots);
  const context = made.getContext("2d");
  context.scale(dots, dots);
  context.font = '11px system-ui, "Segoe UI", Roboto, Arial, sans-serif';
  return [context, width];
}

// ---- Picture 1: all warps along time. It is drawn once, and the cursor over it at each step.

const TOP = 18;
let overview = {};

function drawOverview() {
  const rows = launch.rows, each = Math.max(3, Math.min(16, Math.floor(260 / rows))), gap = each >= 6 ? 1 : 0.5;
  const between = launch.blocks.length > 1 && each >= 3 ? 4 : 0;  // blocks
  const tall = Math.min(520, rows * each + launch.blocks.length * between);
  const [context, width] = canvas("overview", TOP + tall + 4);
  const single = launch.grid.every((n) => n === 1);
  const labels = Array.from({length: single ? rows : launch.blocks.length}, (_, i) => single ? `warp ${i}` : `block ${launch.blockOf(i * launch.warps)}`);
  const LEFT = 10 + Math.max(...labels.map((label) => context.measureText(label).width));
  const unit = (width - LEFT) / launch.width, fit = tall / (rows * each + launch.blocks.length * between);
  overview = {left: LEFT, unit, width, height: TOP + tall + 4,
    y: (row) => TOP + fit * (row * each + Math.floor(row / launch.warps) * between), each: each * fit};
  context.fillStyle = colour.empty;
  for (let row = 0; row < rows; ++row) context.fillRect(LEFT, overview.y(row), width - LEFT, overview.each - gap);
  for (let row = 0; row < rows; ++row) {
    const y = overview.y(row), high = overview.each - gap;
    let worst = -1, pixel = -1;
    const draw = (s) => {
      const x = LEFT + launch.column[s] * unit, wide = Math.max(1, unit - (unit > 5 ? 1 : 0));
      const part = high >= 6 ? Math.max(1.5, high * bits(launch.lanes[s]) / WARP) : high;
      context.fillStyle = ofStep(launch, s);
      context.fillRect(x, y + high - part, wide, part);
    };
    for (let s = launch.begin[row]; s < launch.begin[row + 1]; ++s) {
      if (launch.isBarrier(s)) continue;
      if (unit >= 1) {
        draw(s);
        continue;
      }
      const x = Math.floor(launch.column[s] * unit);  // several in a pixel: the one that costs most
      if (x !== pixel && worst >= 0) draw(worst), worst = -1;
      pixel = x;
      if (worst < 0 || launch.cost[s] > launch.cost[worst]) worst = s;
    }
    if (worst >= 0) draw(worst);
  }
  context.fillStyle = colour.barrier;
  let last = -40;
  launch.barriers.forEach((c, i) => {
    const x = LEFT + (c + 0.5) * unit;
    context.globalAlpha = unit * launch.width / launch.barriers.length < 4 ? 0.3 : 1;
    context.fillRect(x - 0.75, TOP - 3, 1.5, tall + 3);
    context.globalAlpha = 1;
    const label = i ? `${i + 1}` : "barrier 1";
    const needed = context.measureText(label).width;
    if (x - needed / 2 - last > 6 && x + needed / 2 < width) {
      context.textAlign = "center";
      context.fillText(label, x, TOP - 7);
      last = x + needed / 2;
    }
  });
  let next = 0;
  context.textAlign = "right";
  context.fillStyle = colour.soft;
  labels.forEach((label, i) => {
    const y = overview.y(single ? i : i * launch.warps), middle = single ? (overview.each + 8) / 2 : 10;
    if (y < next) return;
    context.fillText(label, LEFT - 6, y + middle);
    next = y + 12;
  });
  overview.drawn = document.createElement("canvas");
  overview.drawn.width = $("overview").width, overview.drawn.height = $("overview").height;
  overview.drawn.getContext("2d").drawImage($("overview"), 0, 0);
}

function drawCursor() {
  const context = $("overview").getContext("2d");
  context.save();
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.clearRect(0, 0, overview.drawn.width, overview.drawn.height);
  context.drawImage(overview.drawn, 0, 0);
  context.restore();
  const x = overview.left + launch.column[step] * overview.unit, y = overview.y(launch.row[step]);
  const wide = Math.max(4, overview.unit), left = x - (wide - overview.unit) / 2;
  context.fillStyle = colour.focus;
  context.globalAlpha = 0.22;
  context.fillRect(left, TOP - 2, wide, overview.height - TOP);
  context.fillRect(overview.left, y, overview.width - overview.left, overview.each);
  context.globalAlpha = 1;
  context.strokeStyle = colour.ink;
  context.lineWidth = 2;
  context.strokeRect(left - 1, y - 1, wide + 2, Math.max(4, overview.each + 1));
  for (const [spot, sign] of [[launch.otherAt, "other"], [launch.faultAt, "fault"]]) {
    if (!spot) continue;
    const x = overview.left + (launch.column[spot[0]] + 0.5) * overview.unit, y = overview.y(launch.row[spot[0]]) + overview.each / 2;
    for (const [stroke, width] of [[colour.page, 6], [colour.bad, 3]]) {
      context.strokeStyle = stroke, context.lineWidth = width;
      context.beginPath();
      if (sign === "fault") {
        context.moveTo(x - 5, y - 5), context.lineTo(x + 5, y + 5), context.moveTo(x + 5, y - 5), context.lineTo(x - 5, y + 5);
      } else {
        context.arc(x, y, 6, 0, 2 * Math.PI);
      }
      context.stroke();
    }
  }
}

function stepAt(event) {
  const box = $("overview").getBoundingClientRect(), y = event.clientY - box.top;
  const time = Math.floor((event.clientX - box.left - overview.left) / overview.unit);
  let row = 0;
  while (row + 1 < launch.rows && overview.y(row + 1) <= y) ++row;
  if (launch.begin[row] === launch.begin[row + 1]) return -1;
  return launch.at(row, Math.max(0, time));
}

function drawLegend() {
  const ramp = (memory) => {
    const shades = [1, 2, 4, 8].map((ratio) => ofRatio(memory, ratio)).join(", ");
    return element("i", {className: "ramp", style: `background: linear-gradient(to right, ${shades})`});
  };
  const chip = (name) => element("i", {style: `background: ${colour[name]}`});
  const seen = (test) => launch.kind.some((_, s) => test(s));
  const all = [element("span", {}, ramp("global"), "global memory, from the fewest sectors to 8 times as many")];
  if (seen((s) => launch.kind[s] & SHARED))
    all.push(element("span", {}, ramp("shared"), "shared memory, from the fewest rounds to 8 times as many"));
  if (seen((s) => launch.kind[s] !== WAITS && launch.kind[s] & CONSTANT))
    all.push(element("span", {}, ramp("constant"), "constant memory, from one round to 8"));
  if (seen((s) => launch.kind[s] & (ATOMIC | VOLATILE)))
    all.push(element("span", {}, chip("atomic"), "atomic or volatile"));
  if (seen((s) => launch.kind[s] === WAITS && !launch.isBarrier(s) && launch.operation[s] !== STOP))
    all.push(element("span", {}, chip("warp"), "warp operation"));
  if (launch.barriers.length) all.push(element("span", {}, chip("barrier"), "barrier of the block"));
  $("legend").replaceChildren(...all);
}

// ---- Picture 2: the lanes of one warp, in the steps around the cursor.

function drawStrip() {
  const row = launch.row[step], high = 7, foot = 30, left = 56;
  const [context, width] = canvas("strip", WARP * high + foot);
  const begin = launch.begin[row], end = launch.begin[row + 1];
  const wide = Math.max(15, Math.min(32, Math.floor((width - left) / (end - begin))));
  const shown = Math.max(1, Math.floor((width - left) / wide));
  const from = Math.max(begin, Math.min(step - (shown >> 1), end - shown)), to = Math.min(end, from + shown);
  context.textAlign = "right";
  context.fillStyle = colour.soft;
  for (const lane of [0, 8, 16, 24, 31]) context.fillText(`lane ${lane}`, left - 6, lane * high + 8);
  for (let s = from; s < to; ++s) {
    const x = left + (s - from) * wide;
    for (let lane = 0; lane < WARP; ++lane) {
      const on = launch.lanes[s] >>> lane & 1;
      context.fillStyle = on ? ofStep(launch, s) : colour.empty;
      context.fillRect(x, lane * high, wide - 2, launch.isBarrier(s) && on ? high : high - 1);
    }
    for (const spot of [launch.faultAt, launch.otherAt]) {
      if (!spot || spot[0] !== s) continue;
      context.fillStyle = colour.bad;
      context.fillRect(x - 1, spot[1] * high - 1, wide, high + 1);
    }
    context.save();
    context.translate(x + wide / 2 - 1, WARP * high + 6);
    context.rotate(-Math.PI / 3);
    context.textAlign = "right";
    context.fillStyle = s === step ? colour.ink : colour.soft;
    context.font = `${s === step ? "bold " : ""}10px ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace`;
    const line = launch.lineOf[launch.place[s]];
    context.fillText(launch.isBarrier(s) ? "sync" : line || "other", 3, 6);
    context.restore();
  }
  context.strokeStyle = colour.ink;
  context.lineWidth = 2;
  context.strokeRect(left + (step - from) * wide - 1.5, 0.5, wide + 1, WARP * high);
  Object.assign($("strip"), {from, to, ariaLabel: `Lanes of this warp in steps ${from - begin + 1} to ${to - begin}`});
  $("strip").onclick = (event) => {
    const s = from + Math.floor((event.offsetX - left) / wide);
    if (s >= from && s < to) go(s);
  };
}
