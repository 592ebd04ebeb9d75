// Level of detail of the map, all in the browser: points far out, the galaxies themselves near by.
// Arguments: plot, tiles (TMSTileSource), mosaic (TileRenderer), points and names (GlyphRenderers),
// address (of the tiles), blank (address of an empty tile), span (of the whole map).
// Nothing here is sent to the server: `sync: false`, and ranges whose changes stay local.
const local = {sync: false}
const range = plot.x_range

if (!plot.tags.includes("local")) {
  plot.setv({tags: ["local"]}, local)
  for (const axis of [plot.x_range, plot.y_range]) {
    for (const name of ["start", "end", "reset_start", "reset_end"]) {
      axis.properties[name].internal = true
    }
  }
}

const width = plot.inner_width
const height = plot.inner_height
if (!(width > 0 && height > 0)) { return }

// The map is a square: what fits is set by the shorter side.
const shown = (range.end - range.start) * Math.min(1, height / width)
const zoom = span / shown
const near = Math.min(1, Math.max(0, (zoom - 1.35) / 0.9))
const named = zoom > 1.2 && zoom < 6

const url = near > 0 ? address.tags[0] : blank
if (tiles.url !== url) { tiles.setv({url}, local) }
if (Math.abs(mosaic.alpha - near) > 0.02) { mosaic.setv({alpha: near}, local) }
if (names.visible !== named) { names.setv({visible: named}, local) }

// Near by the frames of the pictures carry the colours: the points shrink and fade.
const step = Math.round(near * 4) / 4
if (points.tags[0] !== step) {
  points.setv({tags: [step]}, local)
  const size = {value: 4.5 - 1.5 * step}
  points.glyph.setv({size, fill_alpha: {value: 0.85 - 0.5 * step}}, local)
  points.nonselection_glyph.setv({size, fill_alpha: {value: 0.12 + 0.1 * step}}, local)
  points.selection_glyph.setv({size: {value: 5 + 3 * step}}, local)
}
