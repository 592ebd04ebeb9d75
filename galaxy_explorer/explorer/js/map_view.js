// Follows the view of the map. Arguments: plot; mosaic and glow (tile renderers), names (renderer).
// Pan and zoom send nothing to the server: ranges whose changes stay local, `sync: false`.
const NAMED_UP_TO = 5 // zoom from which on the names of clusters would only hide galaxies

// Each name has the zoom from which on it covers no other.
function showNames(names, zoom) {
  const {filter} = names.view
  const level = Math.max(1, zoom)
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
function askForNothingAhead(view) {
  if (view) view._prefetch_tiles = () => undefined
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

let begun = false

export default ({plot, mosaic, glow, names}, _cause, _data, {index}) => {
  const known = (name) => (plot.properties[name].is_unset ? 0 : plot[name])
  const [width, height] = [known("inner_width"), known("inner_height")]
  if (!(width > 0 && height > 0)) return
  if (!begun) {
    begun = true
    keepRangesLocal(plot)
    for (const layer of [mosaic, glow]) askForNothingAhead(index.find_one(layer))
    takeSplashAway(index.find_one(mosaic))
  }
  // The map is a square: what fits is set by the shorter side.
  const range = plot.x_range
  const zoom = 1 / ((range.end - range.start) * Math.min(1, height / width))
  showNames(names, zoom)
}
