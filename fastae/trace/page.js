"use strict";
// The page reads from top to bottom: its data, a launch and its steps, colours, the five pictures, and going about.

const WARP = 32, SECTOR = 32, WORD = 4, LINE = 128;
const READS = 1, WRITES = 2, ATOMIC = 4, VOLATILE = 8, SHARED = 32, WAITS = 64;  // kinds, as in trace.h
const BARRIER = 100, GRID = 101, STOP = 102;  // operations of WAITS; the others are those of a warp:
const OPERATIONS = ["__syncwarp()", "__shfl_sync()", "__shfl_up_sync()", "__shfl_down_sync()", "__shfl_xor_sync()",
  "__ballot_sync()", "__any_sync()", "__all_sync()", "__uni_sync()", "__match_any_sync()", "__match_all_sync()",
  "a reduction of the warp", "a product of the tensor cores", "__activemask()"];
const NO_REGION = 255;

const $ = (id) => document.getElementById(id);
const count = (n) => n.toLocaleString("en-US");
const many = (n, one, more = `${one}s`) => `${count(n)} ${n === 1 ? one : more}`;
const times = (ratio) => `${ratio >= 100 ? Math.round(ratio) : Math.round(ratio * 10) / 10}`;
const often = (ratio) => times(ratio) === "1" ? "once" : `${times(ratio)} times`;

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key in made && key !== "style") made[key] = value;
    else made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
}

// ---- The data: a length, a head in JSON, and columns of numbers; all of it deflated, and written in base64.

async function unpacked() {
  const text = atob($("data").textContent.trim());
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; ++i) bytes[i] = text.charCodeAt(i);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  const buffer = await new Response(stream).arrayBuffer();
  const length = Number(new DataView(buffer).getBigUint64(0, true));
  return {head: JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 8, length))), buffer, begin: 8 + length};
}

const TYPES = {u1: Uint8Array, u4: Uint32Array, f8: Float64Array};

function column(data, [type, offset, length, differences]) {
  const numbers = new TYPES[type](data.buffer, data.begin + offset, length);
  if (!differences) return numbers;
  const summed = new TYPES[type](length);
  for (let i = 0, sum = 0; i < length; ++i) summed[i] = sum = (sum + numbers[i]) >>> 0;
  return summed;
}

// ---- A launch: its steps, sorted by warp and time, and the accesses of each, lane by lane.

function bits(mask) {
  let number = 0;
  for (let m = mask >>> 0; m; m &= m - 1) ++number;
  return number;
}

class Launch {
  constructor(told, data) {
    Object.assign(this, told);
    for (const [name, where] of Object.entries(told.columns)) this[name] = column(data, where);
    this.threads = this.block[0] * this.block[1] * this.block[2];
    this.warps = Math.ceil(this.threads / WARP);
    this.rows = this.blocks.length * this.warps;
    this.steps = this.row.length;
    this.first = new Uint32Array(this.steps + 1);   // access of each step
    this.word = new Uint32Array(this.steps + 1);    // and first number of its values
    this.begin = new Uint32Array(this.rows + 1);    // step of each row
    for (let i = 0; i < this.steps; ++i) {
      const lanes = bits(this.lanes[i]);
      this.first[i + 1] = this.first[i] + lanes;
      this.word[i + 1] = this.word[i] + lanes * this.words(i);
      ++this.begin[this.row[i] + 1];
    }
    for (let r = 0; r < this.rows; ++r) this.begin[r + 1] += this.begin[r];
    this.width = 1 + this.column.reduce((most, c) => Math.max(most, c), 0);
    this.files = Object.keys(this.sources);
    this.fileOf = this.places.map((place) => place.slice(0, place.lastIndexOf(":")));
    this.lineOf = this.places.map((place, i) => this.fileOf[i] in this.sources ? Number(place.split(":").pop()) : 0);
  }

  words(step) {  // numbers of 4 bytes of each access
    const kind = this.kind[step], words = Math.ceil(Math.min(Math.max(this.size[step], 1), 16) / WORD);
    if (kind === WAITS) return this.operation[step] < BARRIER ? 1 : 0;
    return kind & ATOMIC ? 2 * Math.min(words, 2) : words;
  }

  // Where a step is in the source: "line 5", or "tile.cuh, line 5" where there are several files.
  where(step) {
    const place = this.place[step];
    if (!this.lineOf[place]) return this.places[place];
    return `${this.files.length > 1 ? `${this.fileOf[place]}, ` : ""}line ${this.lineOf[place]}`;
  }

  isCounted(step) { return !(this.kind[step] & (WAITS | ATOMIC | VOLATILE)); }
  isBarrier(step) { return this.kind[step] === WAITS && (this.operation[step] === BARRIER || this.operation[step] === GRID); }

  accesses(step) {
    const found = [], words = this.words(step);
    for (let lane = 0, i = this.first[step], w = this.word[step]; lane < WARP; ++lane) {
      if (!(this.lanes[step] >>> lane & 1)) continue;
      const stopped = this.faultAt && this.faultAt[0] === step && this.faultAt[1] === lane;
      found.push({lane, address: this.address[i], region: this.region[i], values: this.values.subarray(w, w + words), stopped});
      ++i, w += words;
    }
    return found;
  }

  // The step of a row that is last at or before a time, or else its first.
  at(row, time) {
    let low = this.begin[row], high = this.begin[row + 1] - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.column[middle] <= time) low = middle; else high = middle - 1;
    }
    return low;
  }

  blockOf(row) {
    const number = this.blocks[Math.floor(row / this.warps)];
    return index(number, this.grid);
  }
  threadOf(row, lane) { return index(row % this.warps * WARP + lane, this.block); }

  real(address) { return this.lines[Math.floor(address / 256)] + address % 256; }

  // What an access touches: tile[3][5], a[2, 7], or where it is.
  name({address, region, stopped}) {
    const at = this.real(address);
    if (region === NO_REGION) return (stopped && this.beyond(at)) || `memory at 0x${at.toString(16)}`;
    const {name, begin, strides, shared, bytes, type} = this.regions[region];
    if (bytes <= strides[strides.length - 1]) return name;
    let offset = at - begin;
    const indices = strides.map((stride) => {
      const i = Math.floor(offset / stride);
      offset %= stride;
      return i;
    });
    const written = shared ? indices.map((i) => `[${i}]`).join("") : `[${indices.join(", ")}]`;
    return name + written + (offset && type ? ` + ${offset} bytes` : "");
  }

  // The array that an access out of bounds is nearest to.
  beyond(at) {
    const away = ({begin, bytes}) => at < begin ? begin - at : at - (begin + bytes);
    const [nearest] = this.regions.filter((r) => !r.shared && away(r) < 65536).sort((a, b) => away(a) - away(b));
    if (!nearest) return "";
    const item = nearest.strides[nearest.strides.length - 1];
    if (nearest.strides.length === 1) return `${nearest.name}[${Math.floor((at - nearest.begin) / item)}], outside of it`;
    return `what lies ${away(nearest)} bytes outside of ${nearest.name}`;
  }
  wordOf(address, region) { return Math.floor((this.real(address) - this.regions[region].begin) / WORD); }
  bankOf(address) {  // counted from where the block's shared memory begins
    const at = this.real(address), base = at >= this.room && at < this.room + this.dynamic ? this.room : this.shared;
    return Math.floor((at - base) / WORD) % 32;
  }
}

function index(number, size) {
  const all = [number % size[0], Math.floor(number / size[0]) % size[1], Math.floor(number / (size[0] * size[1]))];
  const used = size[2] > 1 ? 3 : size[1] > 1 ? 2 : 1;
  return used === 1 ? `${all[0]}` : `(${all.slice(0, used).join(", ")})`;
}

// What numbers of 4 bytes mean as a type: "f4", or as they look where the type is not known.
function shown(words, type, size) {
  const view = new DataView(new ArrayBuffer(16));
  words.forEach((word, i) => view.setUint32(4 * i, word, true));
  const bytes = Math.min(size, 4 * words.length) || 4;
  const item = type ? Number(type.slice(1)) : 4;
  const found = [];
  for (let at = 0; at < bytes; at += item) found.push(one(view, at, type, Math.min(item, bytes - at)));
  return found.length === 1 ? found[0] : `(${found.join(", ")})`;
}

function one(view, at, type, left) {
  const readers = {f4: "getFloat32", f8: "getFloat64", i1: "getInt8", i2: "getInt16", i4: "getInt32", i8: "getBigInt64",
    u1: "getUint8", u2: "getUint16", u4: "getUint32", u8: "getBigUint64"};
  if (type in readers && left >= Number(type.slice(1))) {
    const value = view[readers[type]](at, true);
    return type[0] === "f" ? real(value) : String(value);
  }
  if (left < 4) return `0x${(left === 2 ? view.getUint16(at, true) : view.getUint8(at)).toString(16)}`;
  const float = view.getFloat32(at, true), size = Math.abs(float);
  return size > 1e-9 && size < 1e12 ? real(float) : String(view.getInt32(at, true));
}

function real(value) {
  if (!Number.isFinite(value)) return String(value);
  return String(Number(value.toPrecision(7)));
}

// ---- Colours: blue and green for the two memories where a step costs as little as it can, red and orange at 8 times.

let colour = {};

function readColours() {
  const style = getComputedStyle(document.documentElement);
  for (const name of ["page", "panel", "ink", "soft", "rule", "global", "global-hot", "shared", "shared-hot", "atomic",
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
  return ofRatio(kind & SHARED ? "shared" : "global", launch.cost[step] / launch.best[step]);
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

// ---- Picture 3: the source, with what all warps paid for each line.

function paidByLine() {
  const paid = {};
  launch.traffic.forEach(([place, shared, , requests, , cost, best]) => {
    const memory = shared ? "shared" : "global";
    const sum = ((paid[launch.places[place]] ??= {})[memory] ??= {cost: 0, best: 0, requests: 0});
    sum.cost += cost, sum.best += best, sum.requests += requests;
  });
  return paid;
}

const TOKENS = /(\/\/.*|\/\*.*?\*\/)|(__syncthreads\w*|__syncwarp)|\b(__\w+__|extern|const|constexpr|int|unsigned|float|double|real|void|for|while|if|else|return|static|struct|template|typename|auto|long|char|bool)\b/g;

function coloured(text) {
  const parts = [];
  let from = 0;
  for (const match of text.matchAll(TOKENS)) {
    const kind = match[1] ? "comment" : match[2] ? "barrier" : "word";
    parts.push(text.slice(from, match.index), element("span", {className: kind}, match[0]));
    from = match.index + match[0].length;
  }
  return [...parts, text.slice(from)];
}

function drawSource(file) {
  const paid = paidByLine(), memories = ["global", "shared"].filter((m) => m === "global" || Object.values(paid).some((p) => p.shared));
  const reached = new Set(launch.places);
  const bad = new Set([launch.faultAt, launch.otherAt].filter(Boolean).map((spot) => launch.places[launch.place[spot[0]]]));
  const units = {global: "sector", shared: "round"};
  const head = element("tr", {}, ...memories.map((m) => element("th", {scope: "col"}, `${units[m]}s`)),
    element("th", {scope: "col"}, "line"), element("th", {className: "code", scope: "col"}, file));
  const lines = (launch.sources[file] || "").replace(/\r/g, "").replace(/\n$/, "").split("\n");
  const body = lines.map((text, i) => {
    const place = `${file}:${i + 1}`, row = element("tr", {id: `line-${i + 1}`, className: reached.has(place) ? "can" : ""});
    for (const memory of memories) {
      const sum = paid[place]?.[memory], cell = element("td", {className: "paid"});
      if (sum) {
        const ratio = sum.cost / sum.best, span = element("span", {}, count(sum.cost));
        span.style.background = ofRatio(memory, ratio);
        span.style.color = onColour(span.style.background);
        if (ratio > 1.005) span.append(element("small", {}, `  ${times(ratio)}×`));
        cell.dataset.tip = `${many(sum.cost, units[memory])} in ${many(sum.requests, "request")} of a warp\n` +
          (ratio > 1.005 ? `${times(ratio)} times the fewest possible, ${count(sum.best)}` : "as few as possible");
        Object.assign(cell.dataset, {line: i + 1, memory, cost: sum.cost, best: sum.best});
        cell.append(span);
      }
      row.append(cell);
    }
    row.append(element("td", {className: "number"}, `${i + 1}`), element("td", {className: "code"}, ...coloured(text)));
    if (bad.has(place)) row.classList.add("bad");
    if (reached.has(place)) row.onclick = () => goToLine(place);
    return row;
  });
  $("source").dataset.file = file;
  $("source").replaceChildren(element("table", {}, element("thead", {}, head), element("tbody", {}, ...body)));
}

function markSource() {
  $("source").querySelector("tr.here")?.classList.remove("here");
  const place = launch.place[step];
  if (launch.lineOf[place] && launch.fileOf[place] !== $("source").dataset.file) drawSource(launch.fileOf[place]);
  const row = launch.lineOf[place] && $(`line-${launch.lineOf[place]}`);
  if (!row) return;
  row.classList.add("here");
  const box = $("source"), top = row.offsetTop - box.clientHeight / 2;
  if (row.offsetTop < box.scrollTop + 40 || row.offsetTop > box.scrollTop + box.clientHeight - 40) box.scrollTop = top;
}

// ---- Picture 4: what the lanes touch, as sectors of global memory or as banks of shared memory. Both have 32 words a row.

const SVG = "http://www.w3.org/2000/svg";

function drawn(name, attributes, text, tip) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  if (tip) made.dataset.tip = tip;
  return made;
}

// The words of 4 bytes that a step touches, each with the accesses that do.
function wordsOf(accesses, size) {
  const words = new Map();
  for (const access of accesses)
    for (let w = Math.floor(access.address / WORD); w <= Math.floor((access.address + Math.max(1, size) - 1) / WORD); ++w) {
      if (!words.has(w)) words.set(w, []);
      words.get(w).push(access);
    }
  return words;
}

function told(access) {
  const kind = launch.kind[step], type = access.region === NO_REGION ? "" : launch.regions[access.region].type;
  const size = launch.size[step], words = access.values, name = kind === WAITS ? "" : launch.name(access);
  if (kind === WAITS) return words.length ? `offers ${shown(words, "", 4)}` : "";
  if (access.stopped) return `${name}: here it stops`;
  if (!(kind & ATOMIC)) return `${name} = ${shown(words, type, size)}`;
  const half = words.length / 2;
  return `${name}: ${shown(words.subarray(0, half), type, size)} becomes ${shown(words.subarray(half), type, size)}`;
}

function tipOf(word, who) {
  const [first] = who, lanes = who.map((a) => a.lane);
  const thread = `thread ${launch.threadOf(launch.row[step], first.lane)}, lane ${first.lane}`;
  const inside = first.region === NO_REGION ? "" : `\nword ${launch.wordOf(word * WORD, first.region)} of ${launch.regions[first.region].name}`;
  if (who.length === 1) return `${thread}\n${told(first)}${inside}`;
  return `${who.length} lanes at once: ${ranges(lanes)}\n${told(first)}${inside}`;
}

function ranges(numbers) {
  const found = [];
  for (const n of numbers) {
    const last = found[found.length - 1];
    if (last && last[1] === n - 1) last[1] = n; else found.push([n, n]);
  }
  return found.map(([a, b]) => a === b ? `${a}` : `${a} to ${b}`).join(", ");
}

const sideOf = (wide) => wide < 460 ? 0 : 92;  // for labels

function drawMemory() {
  const accesses = launch.accesses(step), kind = launch.kind[step], box = $("memory");
  drawLanes(accesses);
  $("table").replaceChildren(laneTable(accesses));
  if (kind === WAITS) {
    $("memory-note").textContent = "This step touches no memory.";
    box.replaceChildren();
    box.ariaLabel = "no memory";
    return;
  }
  const words = wordsOf(accesses, launch.size[step]), shared = kind & SHARED;
  const wide = Math.max(280, box.clientWidth), side = sideOf(wide), cell = (wide - side) / 32;
  const high = Math.min(cell, 18), svg = drawn("svg", {});
  const put = (word, column, y) => {
    const who = words.get(word), lane = who[0].lane, x = side + column * cell;
    const at = {x: x + 0.5, y: y + 0.5, width: cell - 1, height: high - 1, rx: 2, fill: ofLane(lane), class: "word"};
    svg.append(drawn("rect", {...at, "data-lanes": who.map((a) => a.lane).join(" ")}, undefined, tipOf(word, who)));
    if (who.some((a) => a.stopped)) svg.append(drawn("rect", {...at, fill: "none", stroke: colour.bad, "stroke-width": 3}));
    const label = who.length > 1 ? `×${who.length}` : `${lane}`;
    if (cell >= 11)
      svg.append(drawn("text", {x: x + cell / 2, y: y + high / 2 + 3.2, "font-size": label.length > 2 ? 7.5 : 9, "text-anchor": "middle", fill: onLane(lane),
        "pointer-events": "none"}, label));
  };
  const height = shared ? drawBanks(svg, words, side, cell, high, put) : drawSectors(svg, words, side, cell, high, put);
  svg.setAttribute("viewBox", `0 0 ${wide} ${height}`);
  box.replaceChildren(svg);
  box.ariaLabel = shared ? `banks: ${svg.dataset.rounds} rounds` : `${svg.dataset.sectors} sectors`;
}

function drawBanks(svg, words, side, cell, high, put) {
  const banks = Array.from({length: 32}, () => []);
  [...words.keys()].sort((a, b) => a - b).forEach((word) => banks[launch.bankOf(word * WORD)].push(word));
  const rounds = Math.max(...banks.map((bank) => bank.length));
  svg.dataset.rounds = rounds;
  for (let b = 0; b < 32; ++b)
    if (b % 4 === 0 || b === 31)
      svg.append(drawn("text", {x: side + (b + 0.5) * cell, y: 10, "font-size": 10, "text-anchor": "middle", fill: colour.soft}, b));
  if (side) svg.append(drawn("text", {x: side - 8, y: 10, "font-size": 11, "text-anchor": "end", fill: colour.soft}, "bank"));
  for (let r = 0; r < rounds; ++r) {
    const y = 16 + r * (high + 2);
    if (side)
      svg.append(drawn("text", {x: side - 8, y: y + high / 2 + 4, "font-size": 11, "text-anchor": "end", fill: colour.soft}, `round ${r + 1}`));
    banks.forEach((bank, b) => {
      if (r < bank.length) put(bank[r], b, y);
      else svg.append(drawn("rect", {x: side + b * cell + 0.5, y: y + 0.5, width: cell - 1, height: high - 1, rx: 2, fill: colour.empty}));
    });
  }
  $("memory-note").textContent = launch.isCounted(step)
    ? `Words of shared memory under the banks that hold them. A bank gives one word a round${rounds > 1 ? ": lanes wait for the fullest bank." : "."}`
    : "Words of shared memory under the banks that hold them.";
  return 16 + rounds * (high + 2);
}

function drawSectors(svg, words, side, cell, high, put) {
  const sectors = new Set([...words.keys()].map((word) => Math.floor(word * WORD / SECTOR)));
  const lines = [...new Set([...sectors].map((sector) => Math.floor(sector * SECTOR / LINE)))].sort((a, b) => a - b);
  svg.dataset.sectors = sectors.size;
  const head = side ? 0 : 13;
  let y = 0, unused = 0;
  for (const line of lines) {
    const inside = [...words.keys()].filter((word) => Math.floor(word * WORD / LINE) === line).sort((a, b) => a - b);
    const [first] = words.get(inside[0]);
    const name = launch.name({...first, address: inside[0] * WORD});
    const label = drawn("text", {x: side ? side - 8 : 0, y: side ? y + high / 2 + 4 : y + 10, "font-size": 11,
      "text-anchor": side ? "end" : "start", fill: colour.soft}, name.length > 13 && side ? `${name.slice(0, 12)}…` : name, name);
    svg.append(label);
    y += head;
    for (let s = 0; s < LINE / SECTOR; ++s) {
      const sector = line * (LINE / SECTOR) + s, x = side + s * 8 * cell;
      if (!sectors.has(sector)) {
        svg.append(drawn("rect", {x: x + 1, y: y + high / 2 - 0.5, width: 8 * cell - 2, height: 1, fill: colour.rule}));
        continue;
      }
      for (let w = 0; w < 8; ++w) {
        const word = sector * 8 + w;
        if (words.has(word)) put(word, s * 8 + w, y);
        else {
          ++unused;
          svg.append(drawn("rect", {x: x + w * cell + 1.5, y: y + 1.5, width: cell - 3, height: high - 3, rx: 1, fill: "none",
            stroke: colour.soft, "stroke-opacity": 0.45}, undefined, "moved with its sector, and not asked for"));
        }
      }
      svg.append(drawn("rect", {x: x + 0.25, y, width: 8 * cell - 0.5, height: high, rx: 2, fill: "none", stroke: colour.ink,
        "stroke-opacity": 0.55, "pointer-events": "none"}));
    }
    y += high + 4;
  }
  $("memory-note").textContent = `Each frame is a sector of 8 words, which is moved whole. ${unused ? `Hollow words are moved and not asked for: ${unused} of ${8 * sectors.size}.` : "All words that are moved are asked for."}`;
  return y;
}

function drawLanes(accesses) {
  const active = new Map(accesses.map((a) => [a.lane, a])), cells = [], side = sideOf($("memory").clientWidth);
  $("lanes").previousElementSibling.style.width = `${side}px`;
  $("lanes").previousElementSibling.hidden = !side;
  for (let lane = 0; lane < WARP; ++lane) {
    const access = active.get(lane), cell = element("i", {}, access && side ? `${lane}` : "");
    const exists = launch.row[step] % launch.warps * WARP + lane < launch.threads;
    const thread = exists ? `lane ${lane}, thread ${launch.threadOf(launch.row[step], lane)}` : `lane ${lane}: the block has no such thread`;
    cell.dataset.tip = access ? `${thread}\n${told(access)}` : exists ? `${thread}\ndoes not take part` : thread;
    if (access) cell.style.background = ofLane(lane), cell.style.color = onLane(lane);
    if (access?.stopped) cell.style.outline = `3px solid ${colour.bad}`;
    cells.push(cell);
  }
  $("lanes").replaceChildren(...cells);
  $("lanes").ariaLabel = `${active.size} of 32 lanes take part`;
}

function laneTable(accesses) {
  const row = launch.row[step], kind = launch.kind[step];
  const head = ["lane", "thread", ...(kind === WAITS ? [] : [kind & SHARED ? "bank" : "sector"]), kind === WAITS ? "" : "place and value"];
  const sectors = [...new Set(accesses.map((a) => Math.floor(a.address / SECTOR)))].sort((a, b) => a - b);
  const body = accesses.map((a) => element("tr", {}, ...[
    `${a.lane}`, launch.threadOf(row, a.lane),
    ...(kind === WAITS ? [] : [kind & SHARED ? `${launch.bankOf(a.address)}` : `${sectors.indexOf(Math.floor(a.address / SECTOR)) + 1}`]),
    told(a)].map((text) => element("td", {}, text))));
  return element("table", {}, element("thead", {}, element("tr", {}, ...head.map((text) => element("th", {scope: "col"}, text)))),
    element("tbody", {}, ...body));
}

// ---- What is said: of the whole launch, and of the step.

function sayTotals() {
  const sums = {global: {cost: 0, best: 0}, shared: {cost: 0, best: 0}};
  let lanes = 0, requests = 0;
  for (const [, shared, , number, accesses, cost, best] of launch.traffic) {
    const sum = sums[shared ? "shared" : "global"];
    sum.cost += cost, sum.best += best, lanes += accesses, requests += number;
  }
  const cards = [];
  for (const [memory, title, unit] of [["global", "Global memory", "sectors moved"], ["shared", "Shared memory", "rounds of its banks"]]) {
    const {cost, best} = sums[memory], ratio = cost / best;
    const bar = element("div", {className: "bar"});
    bar.append(element("i", {style: `width: 100%; background: ${cost ? colour[`${memory}-hot`] : colour.empty}`}),
      element("i", {style: `width: ${cost ? 100 * best / cost : 0}%; background: ${colour[memory]}`}));
    const said = !cost ? "not used" : cost === best ? "as few as possible for each step" : `${times(ratio)} times the fewest possible, ${count(best)}`;
    const card = element("div", {className: "total", id: `total-${memory}`}, element("span", {className: "of"}, title), element("div", {},
      element("b", {}, count(cost)), ` ${unit}`), bar, element("p", {}, said));
    Object.assign(card.dataset, {cost, best});
    cards.push(card);
  }
  const share = requests ? lanes / requests : 0, widest = Math.max(1, Math.min(WARP, launch.threads));
  const lanesBar = element("div", {className: "bar"}, element("i", {style: `width: ${100 * share / WARP}%; background: ${colour.soft}`}));
  cards.push(element("div", {className: "total"}, element("span", {className: "of"}, "Lanes at work"),
    element("div", {}, element("b", {}, times(share)), ` of 32 in a step`), lanesBar,
    element("p", {}, widest < WARP ? `a block has ${widest} threads` : share > 31.5 ? "whole warps" : "the others are masked out")));
  const longest = Math.max(0, ...Array.from({length: launch.rows}, (_, r) => launch.begin[r + 1] - launch.begin[r]));
  cards.push(element("div", {className: "total"}, element("span", {className: "of"}, "Steps"),
    element("div", {}, element("b", {}, count(requests)), " of all warps"), element("div", {className: "bar", style: "visibility: hidden"}),
    element("p", {}, `at most ${count(longest)} of a warp, ${many(launch.barriers.length, "barrier")}`)));
  $("totals").replaceChildren(...cards);
}

function sayArrays() {
  const head = ["", "reads", "each word", "writes", "each word", "sectors or rounds", "fewest"];
  const rows = launch.regions.map((region, i) => [region, ...launch.memory[i]]).filter(([, reads, writes]) => reads + writes > 0);
  const body = rows.map(([region, reads, writes, readWords, writtenWords, cost, best]) => {
    const name = element("td", {}, element("code", {}, region.name), region.shared ? " shared" : "");
    const each = (number, words) => words ? often(number / words) : "";
    const cells = [count(reads), each(reads, readWords), count(writes), each(writes, writtenWords), count(cost), count(best)];
    return element("tr", {}, name, ...cells.map((text) => element("td", {}, text)));
  });
  $("arrays").replaceChildren(element("table", {}, element("thead", {}, element("tr", {}, ...head.map((t) => element("th", {scope: "col"}, t)))),
    element("tbody", {}, ...body)), element("p", {className: "small"}, "Reads and writes are of threads. What is read often from global memory is what a tile in shared memory spares."));
}

function sayLaunch() {
  const grid = launch.grid.join(" × "), block = launch.block.join(" × ");
  const plain = (text) => text.replace(/( × 1)+$/, "");
  const blocks = launch.grid.reduce((a, b) => a * b);
  $("kernel").textContent = launch.kernel;
  $("launched").textContent = `${launch.file} · ${many(blocks, "block")}${launch.grid[1] * launch.grid[2] > 1 ? ` (${plain(grid)})` : ""} of ${plain(block)} threads, ` +
    `in ${many(launch.warps, "warp")} each`;
  $("fault").hidden = !launch.fault;
  $("fault-text").textContent = launch.fault;
  $("to-other").hidden = !launch.otherAt;
  if (launch.faultAt) $("to-fault").textContent = `× ${saySpot(launch.faultAt)}`;
  if (launch.otherAt) $("to-other").textContent = `○ ${saySpot(launch.otherAt)}`;
  const absent = blocks - launch.blocks.length;
  $("cut").hidden = !launch.lost && !absent;
  $("cut").textContent = !launch.lost && !absent ? "" : launch.lost && !launch.fault
    ? `This is a part of the launch: ${absent ? `${many(launch.blocks.length, "block")} of ${count(blocks)}` : "its beginning"}. There were ${count(launch.lost)} accesses more than a page holds; launch less to see all.`
    : launch.fault ? `Here ${launch.blocks.length === 1 ? "is 1" : `are ${launch.blocks.length}`} of ${many(blocks, "block")}: the emulator had begun no other when the launch stopped.`
      : `The other ${many(absent, "block")} did nothing that is shown.`;
  const high = overview.each >= 7 ? " A cell is as high as the share of the 32 lanes that take part." : "";
  $("time-note").textContent = `A row is a warp, time goes to the right, a cell is a step.${high} Click one to see it.`;
  $("overview").ariaLabel = `${many(launch.rows, "warp")} along ${count(launch.width)} steps; the arrows go through them`;
  $("slider").max = 0;
}

function saySpot([at, lane]) {  // a thread of a fault: what it does there, and its line
  const row = launch.row[at], kind = launch.kind[at], access = launch.accesses(at).find((a) => a.lane === lane);
  const single = launch.grid.every((n) => n === 1);
  const who = `thread ${launch.threadOf(row, lane)}${single ? "" : ` of block ${launch.blockOf(row)}`}`;
  const does = kind === WAITS ? launch.operation[at] === STOP ? "stops" : "waits"
    : `${kind & ATOMIC ? "changes" : kind & WRITES ? "writes" : "reads"} ${launch.name(access)}`;
  return `${who} ${does}, ${launch.where(at)}`;
}

function sayStep() {
  const row = launch.row[step], kind = launch.kind[step], operation = launch.operation[step], lanes = bits(launch.lanes[step]);
  const begin = launch.begin[row], number = step - begin + 1, all = launch.begin[row + 1] - begin;
  const block = launch.grid.every((n) => n === 1) ? "" : ` of block ${launch.blockOf(row)}`;
  $("now-title").textContent = `Step ${count(number)} of ${count(all)}, warp ${row % launch.warps}${block}`;
  const where = launch.where(step), who = `${lanes} of 32 lanes`;
  const accesses = launch.accesses(step), memory = kind & SHARED ? "shared" : "global", unit = kind & SHARED ? "round" : "sector";
  const dot = element("span", {className: "dot", style: `background: ${ofStep(launch, step)}`});
  const cost = $("cost");
  if (kind === WAITS) {
    const what = operation === BARRIER ? "wait at a barrier for the whole block" : operation === GRID ? "wait at a barrier for all blocks" :
      operation === STOP ? "stop" : `meet in ${OPERATIONS[operation]}`;
    $("what").textContent = `${who} ${what}, ${where}.`;
    cost.replaceChildren(dot, operation === STOP ? launch.fault : launch.isBarrier(step) ? "What was written before is seen by all behind it." : "Values go from lane to lane, not through memory.");
  } else {
    const first = launch.name(accesses[0]), last = launch.name(accesses[accesses.length - 1]);
    const verb = kind & ATOMIC ? "change by an atomic operation" : kind & WRITES ? (lanes === 1 ? "writes" : "write") : lanes === 1 ? "reads" : "read";
    const what = first === last ? first : `${first} … ${last}`;
    $("what").replaceChildren(`${who} ${verb} `, element("code", {}, what), ` in ${memory} memory, ${where}${launch.size[step] === 4 ? "" : `, ${launch.size[step]} bytes each`}.`);
    if (launch.isCounted(step)) {
      const paid = launch.cost[step], best = launch.best[step];
      cost.replaceChildren(dot, element("b", {id: "paid"}, many(paid, unit)),
        paid > best ? `, where ${best} would do.` : ", as few as possible.");
    } else {
      const places = new Map();
      accesses.forEach((a) => places.set(a.address, (places.get(a.address) || 0) + 1));
      const most = Math.max(...places.values());
      cost.replaceChildren(dot, kind & ATOMIC && most > 1 ? `Up to ${most} lanes change the same place, one after another. Not counted.` : "Not counted.");
    }
  }
  const spot = [launch.faultAt, launch.otherAt].find((s) => s && s[0] === step);
  if (spot)
    cost.append(element("div", {style: "color: var(--bad)"}, spot === launch.faultAt
      ? `Lane ${spot[1]}, thread ${launch.threadOf(row, spot[1])}, stops here.`
      : `Lane ${spot[1]}, thread ${launch.threadOf(row, spot[1])}, is the other thread.`));
  const slider = $("slider");
  slider.max = all - 1, slider.value = number - 1;
  slider.setAttribute("aria-valuetext", `${$("now-title").textContent}: ${$("what").textContent}`);
}

// ---- Going about.

let waiting = false;

function go(to) {
  if (to < 0 || to >= launch.steps) return;
  step = to;
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(show);
}

function show() {
  waiting = false;
  if (!wide) return;
  sayStep(), drawCursor(), markSource(), drawMemory(), drawStrip();
}

const ends = () => [launch.begin[launch.row[step]], launch.begin[launch.row[step] + 1] - 1];
const bounded = (to) => Math.max(ends()[0], Math.min(ends()[1], to));

function goToBarrier(way) {
  let s = step + way;
  while (s > ends()[0] && s < ends()[1] && !launch.isBarrier(s)) s += way;
  go(bounded(s));
}

function goToWarp(way) {
  const time = launch.column[step];
  for (let row = launch.row[step] + way; row >= 0 && row < launch.rows; row += way)
    if (launch.begin[row] < launch.begin[row + 1]) return go(launch.at(row, time));
}

function goToLine(place) {  // the next step there of this warp, or else of any
  const [from, to] = ends(), is = (s) => launch.places[launch.place[s]] === place;
  for (let s = step + 1; s <= to; ++s) if (is(s)) return go(s);
  for (let s = from; s <= step; ++s) if (is(s)) return go(s);
  for (let s = 0; s < launch.steps; ++s) if (is(s)) return go(s);
}

function goToEnd() { go(launch.faultAt ? launch.faultAt[0] : ends()[1]); }
function goToFault() {
  if (!launch.faultAt) return;
  go(launch.otherAt && step === launch.faultAt[0] && launch.otherAt[0] !== step ? launch.otherAt[0] : launch.faultAt[0]);
}

function play(on) {
  clearInterval(playing);
  playing = 0;
  $("play").textContent = on ? "Stop" : "Play";
  $("play").setAttribute("aria-pressed", String(on));
  $("what").setAttribute("aria-live", on ? "off" : "polite");
  if (!on) return;
  if (step === ends()[1]) go(ends()[0]);
  playing = setInterval(() => {
    const stop = step === ends()[1] || launch.faultAt?.[0] === step + 1;
    if (step < ends()[1]) go(step + 1);
    if (stop) play(false);
  }, 1000 / Number($("speed").value));
}

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const on = event.target, tag = on.tagName;
  if (tag === "SELECT" || ((tag === "BUTTON" || tag === "SUMMARY") && (event.key === " " || event.key === "Enter"))) return;
  const inPicture = on === $("overview") || on === $("slider");
  const keys = {
    ArrowRight: () => event.shiftKey ? goToBarrier(1) : go(bounded(step + 1)),
    ArrowLeft: () => event.shiftKey ? goToBarrier(-1) : go(bounded(step - 1)),
    Home: () => go(ends()[0]),
    End: goToEnd,
    " ": () => play(!playing),
    j: () => goToWarp(1),
    k: () => goToWarp(-1),
    f: goToFault,
    ...(inPicture ? {ArrowDown: () => goToWarp(1), ArrowUp: () => goToWarp(-1)} : {}),
  };
  if (!(event.key in keys)) return;
  event.preventDefault();
  if (event.key !== " ") play(false);
  keys[event.key]();
}

function showTip(event) {
  const on = event.target.closest?.("[data-tip]");
  let text = on?.dataset.tip;
  if (event.target === $("overview")) {
    const s = stepAt(event);
    text = s < 0 ? "" : `warp ${launch.row[s] % launch.warps} of block ${launch.blockOf(launch.row[s])}, step ${s - launch.begin[launch.row[s]] + 1}\n` +
      (launch.isCounted(s) ? `${launch.where(s)}: ${many(launch.cost[s], launch.kind[s] & SHARED ? "round" : "sector")}, fewest ${launch.best[s]}` :
        launch.where(s));
  }
  const tip = $("tip");
  tip.hidden = !text;
  if (!text) return;
  tip.textContent = text;
  const {width, height} = tip.getBoundingClientRect();
  tip.style.left = `${Math.max(8, Math.min(event.clientX + 14, innerWidth - width - 8))}px`;
  tip.style.top = `${event.clientY + 18 + height > innerHeight ? event.clientY - height - 10 : event.clientY + 18}px`;
}

let wide = 0;  // of the page when it was drawn; 0 while it is in a frame that is not shown

function draw() {
  wide = $("overview").clientWidth;
  if (!wide || !launch) return;
  readColours();
  sayTotals(), drawOverview(), sayLaunch(), drawLegend(), drawSource(launch.files[0]), sayArrays();
  if (launch.steps) show();
  document.body.dataset.ready = "true";
}

function open(number) {
  play(false);
  launch = launches[number];
  step = launch.faultAt ? launch.faultAt[0] : 0;
  draw();
}

async function start() {
  if (!("DecompressionStream" in window)) {
    $("unreadable").hidden = false;
    return;
  }
  const data = await unpacked();
  launches = data.head.launches.map((told) => new Launch(told, data));
  $("made").textContent = `Made by fastae ${data.head.version}: the kernel ran on its emulator, every access was seen. The page loads nothing from elsewhere.`;
  $("choose").hidden = launches.length < 2;
  $("launch").replaceChildren(...launches.map((l, i) => element("option", {value: i}, `${i + 1}: ${l.kernel}${l.fault ? ", stopped" : ""}`)));
  $("launch").onchange = () => open(Number($("launch").value));
  $("first").onclick = () => go(ends()[0]);
  $("back").onclick = () => go(bounded(step - 1));
  $("forward").onclick = () => go(bounded(step + 1));
  $("last").onclick = goToEnd;
  $("play").onclick = () => play(!playing);
  $("speed").onchange = () => play(Boolean(playing));
  $("slider").oninput = () => go(ends()[0] + Number($("slider").value));
  $("to-fault").onclick = () => go(launch.faultAt[0]);
  $("to-other").onclick = () => go(launch.otherAt[0]);
  $("overview").onclick = (event) => go(stepAt(event));
  document.addEventListener("keydown", onKey);
  document.addEventListener("pointermove", showTip);
  document.addEventListener("pointerdown", showTip);
  document.addEventListener("pointerleave", () => { $("tip").hidden = true; });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  if (launches.length) open(0);
  new ResizeObserver(() => { if ($("overview").clientWidth !== wide) draw(); }).observe($("overview"));
}

start();
