// Level of detail of the map, all in the browser: points far out, the galaxies themselves near by.
// Arguments: plot; tiles (TMSTileSource) and mosaic (its renderer); points, cells and names
// (renderers), source and cell_source (their data); hover and tap (tools); address (tags[0]: of the
// tiles), blank (address of an empty tile), ranking (rows, the first shown first), finest (cells
// along the map), most (cells along a tile).
// Pan and zoom send nothing to the server: `sync: false`, and ranges whose changes stay local.
const local = {sync: false}
const range = plot.x_range

function keep_ranges_local() {
  if (plot.tags.includes("local")) {
    return
  }
  plot.setv({tags: ["local"]}, local)
  for (const axis of [plot.x_range, plot.y_range]) {
    for (const name of ["start", "end", "reset_start", "reset_end"]) {
      axis.properties[name].internal = true
    }
  }
}

// Cells along the map at the zoom whose tiles are on the screen: as tiles.py has it.
function cells_along_map(width, height) {
  const extent = [range.start, plot.y_range.start, range.end, plot.y_range.end]
  const side = 2 ** tiles.get_level_by_extent(extent, height, width)
  return Math.min(most * side, Math.max(finest, side))
}

// One invisible square on each picture, so that pointing at a picture finds its galaxy.
function lay_cells(side) {
  const {x, y, id, t, cluster} = source.data
  const shown = new Map()
  for (const row of ranking.data.row) {
    const column = Math.min(side - 1, Math.floor(x[row] * side))
    const line = Math.min(side - 1, Math.floor(y[row] * side))
    const place = line * side + column
    if (!shown.has(place)) {
      shown.set(place, row)
    }
  }
  const data = {x: [], y: [], side: [], row: [], id: [], t: [], cluster: [], ring: [], veil: []}
  const picked = new Set(source.selected.indices)
  for (const [place, row] of shown) {
    data.x.push(((place % side) + 0.5) / side)
    data.y.push((Math.floor(place / side) + 0.5) / side)
    data.side.push(1 / side)
    data.row.push(row)
    data.id.push(id[row])
    data.t.push(t[row])
    data.cluster.push(cluster[row])
    data.ring.push(picked.has(row) ? 1 : 0)
    data.veil.push(picked.size === 0 || picked.has(row) ? 0 : 0.6)
  }
  cell_source.setv({data}, local)
}

function show_pictures(near, side) {
  const url = near > 0 ? address.tags[0] : blank
  if (tiles.url !== url) {
    tiles.setv({url}, local)
  }
  if (Math.abs(mosaic.alpha - near) > 0.02) {
    mosaic.setv({alpha: near}, local)
  }
  const on = near > 0.5
  if (cells.visible !== on) {
    cells.setv({visible: on}, local)
    // Silently: the page themes anew, and tells the server of, whatever is put into a list.
    for (const tool of [hover, tap]) {
      tool.setv({renderers: [on ? cells : points]}, {silent: true})
    }
  }
  const state = `${side} ${address.tags[0]} ${source.selected.indices}`
  if (on && cells.tags[0] !== state) {
    cells.setv({tags: [state]}, local)
    lay_cells(side)
  }
}

// Near by the frames of the pictures carry the colours: the points shrink and fade away.
function show_points(near) {
  const step = Math.round(near * 4) / 4
  if (points.tags[0] === step) {
    return
  }
  points.setv({tags: [step]}, local)
  const size = {value: 4.5 - 2 * step}
  points.glyph.setv({size, fill_alpha: {value: 0.85 * (1 - step)}}, local)
  points.nonselection_glyph.setv({size, fill_alpha: {value: 0.12 * (1 - step)}}, local)
  points.selection_glyph.setv({size, fill_alpha: {value: 1 - step}}, local)
}

const known = (name) => (plot.properties[name].is_unset ? 0 : plot[name])
const width = known("inner_width")
const height = known("inner_height")
if (width > 0 && height > 0) {
  keep_ranges_local()
  // The map is a square: what fits is set by the shorter side.
  const zoom = 1 / ((range.end - range.start) * Math.min(1, height / width))
  const near = Math.min(1, Math.max(0, (zoom - 1.3) / 0.8))
  const named = zoom > 1.2 && zoom < 6
  show_pictures(near, cells_along_map(width, height))
  show_points(near)
  if (names.visible !== named) {
    names.setv({visible: named}, local)
  }
}
