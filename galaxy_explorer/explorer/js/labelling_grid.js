// Grids of galaxies: one label for all of them but those that are clicked, accepted by one key.
// A grid is sent as one parcel with a change for each galaxy, all of which name the grid.

const GRID = 24

function makeGrid() {
  const tiles = element("div", "desk-tiles", "", {role: "group"})
  tiles.setAttribute("aria-label", "Galaxies of this grid")
  const accept = element("button", "plain-button desk-accept")
  return {tiles, accept}
}

class Grid {
  constructor(desk) {
    this.desk = desk
    this.chosen = "" // label of the term that the grid is given
    this.out = new Set() // identifiers of galaxies that were left out
    this.starts = [0] // places where the counting of grids begins anew
    this.seen = new Set() // galaxies before the queue was last put in order anew
    desk.accept.addEventListener("click", () => {
      this.accept()
      desk.accept.blur()
    })
    desk.tiles.addEventListener("keydown", (event) => {
      moveInside(event, [...desk.tiles.children])
    })
  }

  // Where the grid begins that a place is in.
  startOf(place) {
    const begun = this.starts.filter((start) => start <= place).at(-1) ?? this.starts[0]
    return Math.max(0, begun + Math.floor((place - begun) / GRID) * GRID)
  }

  endOf(start) {
    const next = this.starts.find((other) => other > start) ?? Number.POSITIVE_INFINITY
    return Math.min(start + GRID, next, this.desk.total)
  }

  // Places of the galaxies that are shown.
  places() {
    const {items, cursor} = this.desk
    const all = Array.from({length: this.endOf(cursor) - cursor}, (_, i) => cursor + i)
    return all.filter((place) => items.has(place) && !this.repeated(place))
  }

  // Whether a galaxy of the new order was on the screen before the order changed.
  repeated(place) {
    return place >= this.starts.at(-1) && this.seen.has(this.desk.items.get(place)[1])
  }

  // Counts grids from a place on.
  anchor(place) {
    this.starts = [place]
    this.seen = new Set()
  }

  // The order after a place is another one.
  reordered(place) {
    const {items} = this.desk
    this.starts = [...this.starts.filter((start) => start < place), place]
    this.seen = new Set([...items].filter(([at]) => at < place).map(([, item]) => item[1]))
  }

  term() {
    return this.desk.model.terms.find((term) => term.label === this.chosen)
  }

  choose(term) {
    this.chosen = this.chosen === term.label ? "" : term.label
    this.desk.message.textContent = ""
    this.desk.show()
  }

  // Galaxies that the label would go to: not left out, and nothing said of them yet.
  taken() {
    const term = this.term()
    if (!term) return []
    const items = this.places().map((place) => this.desk.items.get(place))
    return items.filter((item) => !this.out.has(item[1]) && !item[3][term.aspect])
  }

  accept() {
    const {desk} = this
    const term = this.term()
    const taken = this.taken()
    if (!term) {
      desk.message.textContent = "Choose the label of this grid first."
      return
    }
    if (!taken.length) {
      desk.message.textContent = "Nothing to label here: all are left out or labelled before."
      return
    }
    const grid = newId()
    desk.putAll(
      taken.map((item) => ({
        do: "set",
        galaxy: item[1],
        aspect: term.aspect,
        label: term.label,
        grid,
        prediction: item[4],
      })),
    )
    for (const item of taken) item[3] = {...item[3], [term.aspect]: term.label}
    desk.move(1)
  }

  toggle(item) {
    if (!this.out.delete(item[1])) this.out.add(item[1])
    this.desk.show()
  }

  show() {
    const {desk} = this
    const places = this.places()
    const items = places.map((place) => desk.items.get(place))
    const ids = items.map((item) => item[1]).join(" ")
    if (this.drawn !== ids) {
      this.drawn = ids
      const focused = desk.tiles.contains(desk.root.getRootNode().activeElement)
      desk.tiles.replaceChildren(...items.map((item, i) => this.makeTile(item, i === 0)))
      if (focused) desk.tiles.firstChild?.focus() // the keyboard stays in the grid
    }
    for (const [i, item] of items.entries()) this.showTile(desk.tiles.children[i], item)
    this.showWords(items)
  }

  showWords(items) {
    const {desk} = this
    const term = this.term()
    const taken = this.taken().length
    const out = items.filter((item) => this.out.has(item[1])).length
    const fetching = desk.cursor < desk.total ? "Fetching …" : desk.model.empty
    desk.title.textContent = fetching
    if (items.length) {
      desk.title.textContent = term
        ? `Click those that are not: ${term.words}`
        : "Choose the label that most of these galaxies get"
    }
    const before = items.length - taken - out
    const parts = [`${out} left out`]
    if (before > 0) parts.push(`${before} labelled before`)
    desk.words.hidden = !items.length
    desk.words.textContent = term
      ? `${taken} of ${items.length} get the label; ${parts.join(", ")}.`
      : "Press its key, click the galaxies of which it is wrong, and press Enter."
    desk.accept.textContent = term ? `Label ${taken} as ${term.words} (Enter)` : "Label (Enter)"
    desk.accept.disabled = !taken
  }

  makeTile(item, first) {
    const made = element("button", "desk-tile")
    made.tabIndex = first ? 0 : -1
    const picture = element("img", "picture", "", {alt: ""})
    picture.setAttribute("aria-hidden", "true") // the button says what it is
    made.append(picture, element("span", "desk-said"))
    made.addEventListener("click", () => this.toggle(item))
    return made
  }

  showTile(tile, item, desk = this.desk) {
    const out = this.out.has(item[1])
    const address = desk.address(item)
    const [picture, said] = tile.children
    if (picture.getAttribute("src") !== address) picture.src = address
    const term = this.term()
    const labels = Object.entries(item[3]).filter(([aspect, label]) => aspect !== "note" && label)
    const before = labels.map(([, label]) => label).join(", ")
    tile.classList.toggle("kept", Boolean(term && item[3][term.aspect]))
    tile.setAttribute("aria-pressed", out)
    said.textContent = before || item[4].split(",")[0]
    const words = [item[2], before && `labelled ${before}`, item[4] && `predicted ${item[4]}`]
    tile.title = words.filter(Boolean).join(" · ")
    tile.setAttribute("aria-label", `${tile.title}${out ? ", left out" : ""}`)
  }
}
