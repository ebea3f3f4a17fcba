// ---- Picture 3: the source, with what all warps paid for each line.

function paidByLine() {
  const paid = {};
  launch.traffic.forEach(([place, memory, , requests, , cost, best]) => {
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
  const paid = paidByLine(), memories = Object.keys(UNITS).filter((m) => m === "global" || Object.values(paid).some((p) => p[m]));
  const reached = new Set(launch.places);
  const bad = new Set([launch.faultAt, launch.otherAt].filter(Boolean).map((spot) => launch.places[launch.place[spot[0]]]));
  const head = element("tr", {}, ...memories.map((m) => element("th", {scope: "col"}, m === "constant" ? "constant" : `${UNITS[m]}s`)),
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
        if (times(ratio) !== "1") span.append(element("small", {}, `  ${times(ratio)}×`));
        cell.dataset.tip = `${many(sum.cost, UNITS[memory])} in ${many(sum.requests, "request")} of a warp\n` +
          (sum.cost > sum.best ? `${times(ratio)} times the fewest possible, ${count(sum.best)}` : "as few as possible");
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
