"use strict";
// The page reads from file to file: a launch and its steps, the pictures of all warps and of one, of the source, of memory,
// what is said, and going about.

const WARP = 32, SECTOR = 32, WORD = 4, LINE = 128;
const READS = 1, WRITES = 2, ATOMIC = 4, VOLATILE = 8, CONSTANT = 16, SHARED = 32, WAITS = 64;  // kinds, as in trace.h
const BARRIER = 100, GRID = 101, STOP = 102;  // operations of WAITS; the others are those of a warp:
const OPERATIONS = ["__syncwarp()", "__shfl_sync()", "__shfl_up_sync()", "__shfl_down_sync()", "__shfl_xor_sync()",
  "__ballot_sync()", "__any_sync()", "__all_sync()", "__uni_sync()", "__match_any_sync()", "__match_all_sync()",
  "a reduction of the warp", "a product of the tensor cores", "__activemask()"];
const NO_REGION = 255;
const UNITS = {global: "sector", shared: "round", constant: "round"};  // what a step costs, by memory
const memoryOf = (kind) => kind & SHARED ? "shared" : kind & CONSTANT ? "constant" : "global";

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
    const {name, begin, strides, memory, bytes, type} = this.regions[region];
    if (bytes <= strides[strides.length - 1]) return name;
    let offset = at - begin;
    const indices = strides.map((stride) => {
      const i = Math.floor(offset / stride);
      offset %= stride;
      return i;
    });
    const written = memory !== "global" ? indices.map((i) => `[${i}]`).join("") : `[${indices.join(", ")}]`;
    return name + written + (offset && type ? ` + ${offset} bytes` : "");
  }

  // The array that an access out of bounds is nearest to.
  beyond(at) {
    const away = ({begin, bytes}) => at < begin ? begin - at : at - (begin + bytes);
    const [nearest] = this.regions.filter((r) => r.memory === "global" && away(r) < 65536).sort((a, b) => away(a) - away(b));
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
