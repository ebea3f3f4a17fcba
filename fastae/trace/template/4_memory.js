// ---- Picture 4: what the lanes touch, as sectors of global memory, as banks of shared memory, or as places of constant memory.

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
  const height = shared ? drawBanks(svg, words, side, cell, high, put) : kind & CONSTANT ? drawPlaces(svg, accesses, side, cell, high) : drawSectors(svg, words, side, cell, high, put);
  svg.setAttribute("viewBox", `0 0 ${wide} ${height}`);
  box.replaceChildren(svg);
  box.ariaLabel = kind & CONSTANT ? `places: ${svg.dataset.rounds} rounds` : shared ? `banks: ${svg.dataset.rounds} rounds` : `${svg.dataset.sectors} sectors`;
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

// Constant memory: a row for each place, of which one answers a round, and a column for each lane.
function drawPlaces(svg, accesses, side, cell, high) {
  const places = [...new Set(accesses.map((a) => a.address))].sort((a, b) => a - b);
  svg.dataset.rounds = places.length;
  const head = side ? 0 : 13;
  let y = 0;
  for (const place of places) {
    const who = accesses.filter((a) => a.address === place), name = launch.name(who[0]);
    svg.append(drawn("text", {x: side ? side - 8 : 0, y: side ? y + high / 2 + 4 : y + 10, "font-size": 11,
      "text-anchor": side ? "end" : "start", fill: colour.soft}, name.length > 13 && side ? `${name.slice(0, 12)}…` : name, name));
    y += head;
    for (let lane = 0; lane < WARP; ++lane) {
      const at = {x: side + lane * cell + 0.5, y: y + 0.5, width: cell - 1, height: high - 1, rx: 2}, access = who.find((a) => a.lane === lane);
      svg.append(access ? drawn("rect", {...at, fill: ofLane(lane), class: "word"}, undefined, tipOf(place / WORD, who)) : drawn("rect", {...at, fill: colour.empty}));
      if (access?.stopped) svg.append(drawn("rect", {...at, fill: "none", stroke: colour.bad, "stroke-width": 3}));
      if (access && cell >= 11)
        svg.append(drawn("text", {x: side + (lane + 0.5) * cell, y: y + high / 2 + 3.2, "font-size": 9, "text-anchor": "middle", fill: onLane(lane),
          "pointer-events": "none"}, lane));
    }
    y += high + 2;
  }
  $("memory-note").textContent = `Lanes by the place of constant memory that they read. One place answers in a round, to all lanes that want it${places.length > 1 ? "; the others wait." : "."}`;
  return y;
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
  const head = ["lane", "thread", ...(kind === WAITS ? [] : [kind & SHARED ? "bank" : kind & CONSTANT ? "round" : "sector"]), kind === WAITS ? "" : "place and value"];
  const unit = kind & CONSTANT ? 1 : SECTOR;
  const sectors = [...new Set(accesses.map((a) => Math.floor(a.address / unit)))].sort((a, b) => a - b);
  const body = accesses.map((a) => element("tr", {}, ...[
    `${a.lane}`, launch.threadOf(row, a.lane),
    ...(kind === WAITS ? [] : [kind & SHARED ? `${launch.bankOf(a.address)}` : `${sectors.indexOf(Math.floor(a.address / unit)) + 1}`]),
    told(a)].map((text) => element("td", {}, text))));
  return element("table", {}, element("thead", {}, element("tr", {}, ...head.map((text) => element("th", {scope: "col"}, text)))),
    element("tbody", {}, ...body));
}
