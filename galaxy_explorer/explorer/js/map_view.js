// Follows the view of the map. Arguments: plot; mosaic and glow (tile renderers); names and mark
// (renderers); cells (along the map at each zoom); home (x0, y0, x1, y1: where galaxies are).
// Pan and zoom send nothing to the server: ranges whose changes stay local, `sync: false`. The
// address keeps centre and width of what is seen, so that a copied one shows the same.
const ROOM = 1.03 // of what is seen at home, around all galaxies
const TOP = 44 // pixels over the map with its words and buttons
const WAIT_MS = 300
const FRAME_PIXELS = 1000 // along the map at zoom 1
const NAMED_UP_TO = 5 // zoom from which on the names of clusters would only hide galaxies

// Each name has the zoom from which on it covers no other.
function showNames(names, level) {
  const {filter} = names.view
  const shown = names.data_source.data.zoom.map((from) => level < NAMED_UP_TO && from <= level)
  if (
    shown.some((one, i) => one !== filter.booleans?.[i]) ||
    shown.length !== filter.booleans.length
  )
    filter.setv({booleans: shown}, {sync: false})
}

function keepRangesLocal(plot) {
  for (const axis of [plot.x_range, plot.y_range]) {
    for (const name of ["start", "end", "reset_start", "reset_end"]) {
      axis.properties[name].internal = true
    }
  }
}

// Bokeh asks ahead for four tiles of each that is shown, half a second after every move: pictures
// that nobody may ever look at. What is shown comes soon enough by itself.
// And on every change of size it would turn the view as the size has changed: `look` does so here.
function leaveTilesAlone(view) {
  if (view) view._prefetch_tiles = view._enforce_aspect_ratio = () => undefined
}

// The page came with the first tiles as pictures of its own; they go once the map has drawn them.
function takeSplashAway(view) {
  const splash = document.getElementById("splash")
  if (!splash || splash.dataset.watched) return
  splash.dataset.watched = "yes"
  const started = performance.now()
  const look = () => {
    if (view?.has_finished() || performance.now() - started > 15000) splash.remove()
    else setTimeout(look, 100)
  }
  look()
}

// The frame around the galaxy in focus: the cell in which its picture is, where there are pictures.
function frameMark({plot, mosaic, mark, cells}, width, height) {
  const {
    x: [x],
    y: [y],
  } = mark.data_source.data
  if (x === undefined) return
  const {x_range: across, y_range: up} = plot
  const extent = [across.start, up.start, across.end, up.end]
  const level = mosaic.tile_source.get_level_by_extent(extent, height, width)
  const side = mosaic.visible ? cells[Math.min(level, cells.length - 1)] : 0
  const middle = (value) => (side ? (Math.floor(value * side) + 0.5) / side : value)
  const size = side ? 0.92 / side : (14 * (across.end - across.start)) / width
  const place = {x: middle(x), y: middle(y), width: size, height: size}
  const values = Object.entries(place).map(([name, value]) => [name, {value}])
  mark.glyph.setv(Object.fromEntries(values), {sync: false})
}

let begun = false
let moved = false // by the visitor: what is seen stays, else the map fits into the room there is
let home = null
let timer

function look(plot, [x, y, span], width, height, atHome) {
  const unit = span / Math.min(width, height)
  const ends = {
    x_range: [x - (unit * width) / 2, x + (unit * width) / 2],
    y_range: [y - (unit * height) / 2, y + (unit * height) / 2],
  }
  for (const [name, [start, end]] of Object.entries(ends)) {
    const reset = atHome ? {reset_start: start, reset_end: end} : {}
    plot[name].setv({start, end, ...reset}, {sync: false})
  }
}

function fitted([x0, y0, x1, y1], width, height) {
  const unit = ROOM * Math.max((x1 - x0) / width, (y1 - y0) / Math.max(1, height - TOP))
  return [(x0 + x1) / 2, (y0 + y1 + TOP * unit) / 2, unit * Math.min(width, height)]
}

function seen({x_range: across, y_range: up}, width, height) {
  const unit = Math.max((across.end - across.start) / width, (up.end - up.start) / height)
  return [(across.start + across.end) / 2, (up.start + up.end) / 2, unit * Math.min(width, height)]
}

const near = (a, b) => a.every((value, i) => Math.abs(value - b[i]) < 1e-3 * b[2])

function keepInAddress(view) {
  clearTimeout(timer)
  timer = setTimeout(() => {
    const address = new URL(location)
    if (!moved) address.searchParams.delete("view")
    else address.searchParams.set("view", view.map((one) => one.toFixed(5)).join(","))
    if (address.search !== location.search) history.replaceState(null, "", address)
  }, WAIT_MS)
}

function asked() {
  const view = (new URLSearchParams(location.search).get("view") ?? "").split(",").map(Number)
  return view.length === 3 && view.every(Number.isFinite) && view[2] > 0 ? view : null
}

export default (args, cause, _data, {index}) => {
  const {plot, mosaic, glow, names} = args
  const known = (name) => (plot.properties[name].is_unset ? 0 : plot[name])
  const [width, height] = [known("inner_width"), known("inner_height")]
  if (!(width > 0 && height > 0)) return
  let view = seen(plot, width, height)
  if (cause.event_name === "rangesupdate") moved = !near(view, home)
  home = fitted(args.home, width, height)
  if (!begun) {
    begun = true
    keepRangesLocal(plot)
    for (const layer of [mosaic, glow]) leaveTilesAlone(index.find_one(layer))
    takeSplashAway(index.find_one(mosaic))
    look(plot, home, width, height, true)
    moved = Boolean(asked())
    view = asked() ?? home
  } else if (!moved) view = home
  if (cause === plot || cause.event_name) look(plot, view, width, height, !moved)
  showNames(names, Math.min(width, height) / view[2] / FRAME_PIXELS)
  frameMark(args, width, height)
  keepInAddress(view)
}
