// ---- What is said: of the whole launch, and of the step.

function sayTotals() {
  const sums = {global: {cost: 0, best: 0}, shared: {cost: 0, best: 0}, constant: {cost: 0, best: 0}};
  let lanes = 0, requests = 0;
  for (const [, memory, , number, accesses, cost, best] of launch.traffic) {
    const sum = sums[memory];
    sum.cost += cost, sum.best += best, lanes += accesses, requests += number;
  }
  const cards = [];
  for (const [memory, title, unit] of [["global", "Global memory", "sectors moved"], ["shared", "Shared memory", "rounds of its banks"],
    ["constant", "Constant memory", "rounds, a place each"]]) {
    const {cost, best} = sums[memory], ratio = cost / best;
    if (memory === "constant" && !cost) continue;
    const bar = element("div", {className: "bar"});
    bar.append(element("i", {style: `width: 100%; background: ${cost ? colour[`${memory}-hot`] : colour.empty}`}),
      element("i", {style: `width: ${cost ? 100 * best / cost : 0}%; background: ${colour[memory]}`}));
    const said = !cost ? "not used" : cost === best ? "as few as possible for each step" :
      times(ratio) === "1" ? `hardly more than the fewest possible, ${count(best)}` : `${times(ratio)} times the fewest possible, ${count(best)}`;
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
  cards.push(element("div", {className: "total"}, element("span", {className: "of"}, "Loads and stores"),
    element("div", {}, element("b", {}, count(requests)), " by warps"), element("div", {className: "bar", style: "visibility: hidden"}),
    element("p", {}, `at most ${count(longest)} steps of a warp, ${many(launch.barriers.length, "barrier")}`)));
  $("totals").replaceChildren(...cards);
}

function sayArrays() {
  const head = ["", "reads", "each word", "writes", "each word", "sectors or rounds", "fewest"];
  const rows = launch.regions.map((region, i) => [region, ...launch.memory[i]]).filter(([, reads, writes]) => reads + writes > 0);
  const body = rows.map(([region, reads, writes, readWords, writtenWords, cost, best]) => {
    const name = element("td", {}, element("code", {}, region.name), region.memory === "global" ? "" : ` ${region.memory}`);
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
    `in ${many(launch.warps, "warp")}${blocks > 1 ? " each" : ""}${launch.launchedAt ? ` · launched at ${launch.launchedAt}` : ""}`;
  $("fault").hidden = !launch.fault;
  $("fault-text").textContent = launch.fault;
  $("to-other").hidden = !launch.otherAt;
  $("to-fault").hidden = !launch.faultAt;
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
  const accesses = launch.accesses(step), memory = memoryOf(kind), unit = UNITS[memory];
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
