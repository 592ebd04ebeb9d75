// What a visitor does with the pointer on the map. Arguments: plot, mosaic (renderer of pictures),
// names (renderer of the clusters' names); addresses (tags: of a cell, of a picture), outlet (tags: one message to the server), cells (cells
// along the map at each zoom).
// Messages: {kind: "lasso", xy: [x, y, x, y, ...]}, {kind: "box", xy: [x0, y0, x1, y1]}, both with
// a mode ("replace", "append", "intersect", "subtract"); {kind: "tap", cell: [side, column, line],
// mode}; {kind: "name", cluster}; {kind: "clear"}. Coordinates are those of the unit map.
const REST_MS = 70 // a pointer that only passes by asks for nothing
const STEP = 2.5 // screen pixels between corners of a lasso
const MOST_CORNERS = 400
const DOT = 7 // screen pixels within which a dot counts as pointed at
const SIDE = 128
const [SHIFT, CTRL] = [1, 2]
const MODES = {0: null, [SHIFT]: "append", [CTRL]: "intersect", [SHIFT + CTRL]: "subtract"}

let pressed = false
let held = 0
let asked = ""
let tapped = null // where a card was opened by a click
let timer
let count = 0
let send = () => undefined

// The tools draw and select without telling which keys were held: seen here before they are.
for (const kind of ["pointerdown", "pointerup", "pointercancel"]) {
  const note = (event) => {
    pressed = kind === "pointerdown"
    held = (event.shiftKey ? SHIFT : 0) + (event.ctrlKey || event.metaKey ? CTRL : 0)
    hide()
  }
  document.addEventListener(kind, note, {capture: true})
}
document.addEventListener("wheel", () => hide(), {capture: true, passive: true})

function box() {
  let node = document.getElementById("galaxy-tooltip")
  if (!node) {
    node = document.createElement("div")
    node.id = "galaxy-tooltip"
    node.setAttribute("role", "tooltip")
    node.style.cssText =
      "position:fixed;z-index:1200;pointer-events:none;background:#101b2d;color:#fff;padding:8px;" +
      "border-radius:8px;font:13px/1.4 Roboto,sans-serif;max-width:230px;box-shadow:0 4px 18px #0008"
    document.body.append(node)
  }
  return node
}

function hide() {
  clearTimeout(timer)
  asked = ""
  const node = document.getElementById("galaxy-tooltip")
  if (node) node.style.display = "none"
}

// What a cluster is called on the map.
function clusterWords({names}, cluster) {
  const {cluster: numbers, text} = names.data_source.data
  const place = numbers.indexOf(cluster)
  return place < 0 ? "in no cluster" : `cluster ${cluster}, ${text[place].trim()}`
}

function show(args, known, {x, y}) {
  const [, picture] = args.addresses.tags
  const node = box()
  const image = document.createElement("img")
  image.src = picture.replace("@row", known.row)
  image.addEventListener("error", () => image.remove()) // of an original that is not at hand
  image.alt = "the galaxy"
  image.width = SIDE
  image.height = SIDE
  image.style.cssText = "display:block;border-radius:6px;margin-bottom:4px"
  const name = document.createElement("b")
  name.textContent = known.id
  const words = document.createElement("div")
  words.textContent = `${known.t} · ${clusterWords(args, known.cluster)}`
  node.replaceChildren(image, name, words)
  node.style.display = "block"
  const {offsetWidth: width, offsetHeight: height} = node
  const left = x + 18 + width > innerWidth ? x - 18 - width : x + 18
  node.style.left = `${Math.max(4, left)}px`
  node.style.top = `${Math.max(4, Math.min(innerHeight - height - 4, y - height / 2))}px`
}

// The cell under the pointer: [side, column, line], or null beside the map.
function cellAt({plot, mosaic, cells}, {x, y}) {
  const {x_range: across, y_range: up, inner_width: width, inner_height: height} = plot
  if (!(x >= 0 && x < 1 && y >= 0 && y < 1)) return null
  const extent = [across.start, up.start, across.end, up.end]
  const zoom = mosaic.tile_source.get_level_by_extent(extent, height, width)
  const pixels = width / (across.end - across.start)
  const side = mosaic.visible
    ? cells[Math.min(zoom, cells.length - 1)]
    : 2 ** Math.min(16, Math.max(3, Math.floor(Math.log2(pixels / DOT))))
  return [side, Math.floor(x * side), Math.floor(y * side)]
}

// The cluster whose name is under the pointer.
function nameAt({names}, {sx, sy}, index) {
  const hit = index.find_one(names)?.hit_test({type: "point", sx, sy})
  return hit?.indices.length ? names.data_source.data.cluster[hit.indices[0]] : undefined
}

function addressOf({addresses}, cell) {
  const [side, column, line] = cell ?? []
  const [template] = addresses.tags
  return cell && template.replace("{SIDE}", side).replace("{X}", column).replace("{Y}", line)
}

function onScreen({plot}, {sx, sy}, index) {
  const edge = index.find_one(plot).canvas_view.el.getBoundingClientRect()
  return {x: edge.x + sx, y: edge.y + sy}
}

function point(args, event, index) {
  const address = pressed ? null : addressOf(args, cellAt(args, event))
  if (address === asked) return
  hide()
  if (!address) return
  asked = address
  const place = onScreen(args, event, index)
  // A click opens a card, and the map may move below a pointer that rests.
  if (tapped && Math.hypot(place.x - tapped.x, place.y - tapped.y) < DOT) return
  tapped = null
  timer = setTimeout(async () => {
    const answer = await fetch(address)
    const known = answer.ok ? await answer.json() : null
    if (known && asked === address) show(args, known, place)
  }, REST_MS)
}

// Corners far enough from each other, few enough for one short message.
function corners({sx, sy, x, y}) {
  const kept = []
  for (let i = 0; i < sx.length; i++) {
    const last = kept.at(-1)
    if (last === undefined || Math.hypot(sx[i] - sx[last], sy[i] - sy[last]) >= STEP) kept.push(i)
  }
  const every = Math.ceil(kept.length / MOST_CORNERS)
  const round = (value) => Number(value.toFixed(5))
  return kept.filter((_, i) => i % every === 0).flatMap((i) => [round(x[i]), round(y[i])])
}

function region({plot}, geometry) {
  const tool = plot.toolbar.tools.find((one) => one.active && "continuous" in one.properties)
  const mode = MODES[held] ?? tool?.mode ?? "replace"
  if (geometry.type === "poly") send({kind: "lasso", xy: corners(geometry), mode})
  if (geometry.type === "rect") {
    const {x0, y0, x1, y1} = geometry
    send({kind: "box", xy: [x0, y0, x1, y1], mode})
  }
}

export default (args, event, _data, {index}) => {
  send = (message) => {
    count += 1
    args.outlet.tags = [{...message, count}]
  }
  if (event.event_name === "mousemove") point(args, event, index)
  else hide()
  if (event.event_name === "selectiongeometry" && event.final) region(args, event.geometry)
  if (event.event_name === "tap") {
    tapped = onScreen(args, event, index)
    const cell = cellAt(args, event)
    const cluster = nameAt(args, event, index)
    if (cluster !== undefined) send({kind: "name", cluster})
    else send(cell ? {kind: "tap", cell, mode: MODES[held] ?? "replace"} : {kind: "clear"})
  }
}
